-- Ends the planning of an event: it leaves the planning queue and the whole audience is dropped (parts keep theirs).
--
-- KEYS[1..4] queues of the shard (work_queue.lua)
-- KEYS[5] planning leases   KEYS[6] part (home)   KEYS[7] frozen audience
-- ARGV[1] planning reference   ARGV[2] now (ms)

redis.call('HSETNX', KEYS[6], 'planned', ARGV[2])
redis.call('ZREM', KEYS[5], ARGV[1])
dequeue(ARGV[1])
redis.call('DEL', KEYS[7])
return 1
