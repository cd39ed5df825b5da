-- Makes one event durable: idempotency record, body, expiry index, planning queue. A repetition changes nothing.
-- Replies {event, fingerprint} of what stands under the idempotency key, a third item when it is new;
-- false when the number is taken by another event and a new one must be proposed.
--
-- KEYS[1..4] queues of the shard (work_queue.lua)
-- KEYS[5] idempotency record   KEYS[6] body   KEYS[7] expiry index
-- ARGV[1] event (16 hex digits)   ARGV[2] fingerprint   ARGV[3] body   ARGV[4] lifetime of the record (ms)
-- ARGV[5] planning reference   ARGV[6] admitted (ms)   ARGV[7] expires (ms)

local known = redis.call('GET', KEYS[5])
if known then return {string.sub(known, 1, 16), string.sub(known, 17)} end
if redis.call('EXISTS', KEYS[6]) == 1 then return false end
redis.call('SET', KEYS[5], ARGV[1] .. ARGV[2], 'PX', ARGV[4])
redis.call('SET', KEYS[6], ARGV[3])
redis.call('ZADD', KEYS[7], ARGV[7], ARGV[1])
enqueue(ARGV[5], ARGV[6])
return {ARGV[1], ARGV[2], 1}
