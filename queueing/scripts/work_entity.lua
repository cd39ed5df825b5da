-- Registers an event as a version of its entity. Versions are ordered by sequence, then by event number.
-- Replies {1 if a newer version came first, older events...}. A repetition replies the same while no newer one came.
--
-- KEYS[1] versions of the entity
-- ARGV[1] event (16 hex digits)   ARGV[2] sequence   ARGV[3] lifetime of the record (ms)   ARGV[4] versions to remember

local own, own_sequence = ARGV[1], tonumber(ARGV[2])
redis.call('HSET', KEYS[1], own, ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local flat = redis.call('HGETALL', KEYS[1])
local stale, older = 0, {}
for at = 1, #flat, 2 do
  local event, sequence = flat[at], tonumber(flat[at + 1])
  if sequence > own_sequence or (sequence == own_sequence and event > own) then
    stale = 1
  elseif event ~= own then
    older[#older + 1] = {sequence, event}
  end
end
table.sort(older, function(a, b)
  if a[1] == b[1] then return a[2] > b[2] end
  return a[1] > b[1]
end)
local reply = {stale}
for place, version in ipairs(older) do
  reply[#reply + 1] = version[2]
  -- every later version has superseded it before: forget it
  if place >= tonumber(ARGV[4]) then redis.call('HDEL', KEYS[1], version[2]) end
end
return reply
