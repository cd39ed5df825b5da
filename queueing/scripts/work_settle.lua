-- Writes what one claim came to: settlement, counters, children; the slice is gone afterwards.
-- Replies 1, also when this settlement was written before (and changes nothing then); 0 when the epoch is another.
-- The sweep settles with an even epoch: then nobody has the slice in hand, and it leaves its queue here.
--
-- KEYS[1..4] queues of the shard (work_queue.lua)
-- KEYS[5] leases   KEYS[6] slices   KEYS[7] history   KEYS[8] part   KEYS[9] delayed
-- ARGV[1] reference   ARGV[2] slice id   ARGV[3] epoch   ARGV[4] settlement   ARGV[5] at (ms)
-- ARGV[6] n: how many counters follow   then n times: counter, increment
-- then for each child: reference, id, slice, due (ms; 0 at once)

local ref, id, epoch = ARGV[1], ARGV[2], ARGV[3]
local entry = id .. '@' .. epoch
if redis.call('HEXISTS', KEYS[7], entry) == 1 then return 1 end
local state = redis.call('HMGET', KEYS[6], id .. 'e', id)
if not state[2] or (state[1] or '0') ~= epoch then return 0 end
redis.call('HSET', KEYS[7], entry, ARGV[4])
redis.call('HDEL', KEYS[6], id, id .. 'e', id .. 'w', id .. 'm')
if redis.call('ZREM', KEYS[5], ref) == 0 and not dequeue(ref) then redis.call('ZREM', KEYS[9], ref) end
local at = 7
for _ = 1, tonumber(ARGV[6]) do
  redis.call('HINCRBY', KEYS[8], ARGV[at], ARGV[at + 1])
  at = at + 2
end
if tonumber(ARGV[5]) > (tonumber(redis.call('HGET', KEYS[8], 'last')) or 0) then
  redis.call('HSET', KEYS[8], 'last', ARGV[5])
end
while ARGV[at] do
  redis.call('HSET', KEYS[6], ARGV[at + 1], ARGV[at + 2])
  if ARGV[at + 3] == '0' then
    enqueue(ARGV[at], ARGV[5])
  else
    redis.call('ZADD', KEYS[9], ARGV[at + 3], ARGV[at])
  end
  at = at + 4
end
return 1
