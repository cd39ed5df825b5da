-- Moves slices that are due to their ready queues. Replies how many.
--
-- KEYS[1..4] queues of the shard (work_queue.lua)   KEYS[5] delayed
-- ARGV[1] now (ms)   ARGV[2] at most

local due = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for at = 1, #due, 2 do
  redis.call('ZREM', KEYS[5], due[at])
  enqueue(due[at], due[at + 1])
end
return #due / 2
