-- Gives events back to the planning queue whose fan-out did not finish in time. Replies how many.
--
-- KEYS[1..4] queues of the shard (work_queue.lua)   KEYS[5] planning leases
-- ARGV[1] now (ms)   ARGV[2] at most

local lapsed = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, ref in ipairs(lapsed) do
  redis.call('ZREM', KEYS[5], ref)
  enqueue_first(ref, ARGV[1])
end
return #lapsed
