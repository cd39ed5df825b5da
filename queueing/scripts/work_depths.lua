-- Says what waits in every queue of one shard. Replies {queue, slices, people, oldest (ms)} for each.
--
-- KEYS[1..4] queues of the shard (work_queue.lua)

local depths = {}
local flat = redis.call('HGETALL', KEYS[1])
for at = 1, #flat, 2 do
  local where = string.match(flat[at], '^s|(.+)$')
  if where then
    local oldest
    for _, tenant in ipairs(redis.call('LRANGE', KEYS[2] .. where, 0, -1)) do
      local since = tonumber(redis.call('ZRANGE', KEYS[4] .. where .. '|' .. tenant, 0, 0, 'WITHSCORES')[2])
      if since and (not oldest or since < oldest) then oldest = since end
    end
    local people = tonumber(redis.call('HGET', KEYS[1], 'p|' .. where))
    depths[#depths + 1] = {where, tonumber(flat[at + 1]), people, oldest}
  end
end
return depths
