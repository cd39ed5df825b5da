-- Takes a slice back whose lease has lapsed: the epoch moves on, the slice goes to the front of its queue, marks go to
-- the history and are counted. Replies 1; 0 when the lease was kept, the slice settled or marked anew meanwhile.
--
-- KEYS[1..4] queues of the shard (work_queue.lua)
-- KEYS[5] leases   KEYS[6] slices   KEYS[7] history   KEYS[8] part
-- ARGV[1] reference   ARGV[2] slice id   ARGV[3] epoch   ARGV[4] now (ms)   ARGV[5] the marks that were counted
-- ARGV[6] entry for the history (empty: none)   ARGV[7] n: how many counters follow   then n times: counter, increment

local ref, id, epoch = ARGV[1], ARGV[2], ARGV[3]
local deadline = redis.call('ZSCORE', KEYS[5], ref)
local state = redis.call('HMGET', KEYS[6], id .. 'e', id .. 'm')
if not deadline or tonumber(deadline) > tonumber(ARGV[4]) then return 0 end
if state[1] ~= epoch or (state[2] or '') ~= ARGV[5] then return 0 end
redis.call('HINCRBY', KEYS[6], id .. 'e', 1)
redis.call('HDEL', KEYS[6], id .. 'w', id .. 'm')
redis.call('ZREM', KEYS[5], ref)
if ARGV[6] ~= '' then redis.call('HSET', KEYS[7], id .. '!' .. epoch, ARGV[6]) end
for at = 8, 7 + 2 * tonumber(ARGV[7]), 2 do
  redis.call('HINCRBY', KEYS[8], ARGV[at], ARGV[at + 1])
end
enqueue_first(ref, ARGV[4])
return 1
