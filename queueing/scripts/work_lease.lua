-- Leases unplanned events of one urgency to a fan-out, tenants in turns. Replies the bodies.
-- Events that were stopped or planned meanwhile fall out of the queue here.
--
-- KEYS[1..4] queues of the shard (work_queue.lua)
-- KEYS[5] planning leases   KEYS[6] prefix of the parts   KEYS[7] prefix of the bodies
-- ARGV[1] queue (+|urgency)   ARGV[2] how many   ARGV[3] deadline (ms)

local bodies = {}
local wanted = tonumber(ARGV[2])
while #bodies < wanted do
  local ref, _, event = next_ref(ARGV[1], 1)
  if not ref then break end
  local body = redis.call('GET', KEYS[7] .. event)
  if body and redis.call('HEXISTS', KEYS[6] .. event, 'planned') == 0 then
    redis.call('ZADD', KEYS[5], ARGV[3], ref)
    bodies[#bodies + 1] = body
  end
end
return bodies
