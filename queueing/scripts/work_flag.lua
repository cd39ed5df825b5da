-- Tells one part of an event that the event was stopped.
-- Replies 1 if the stop found something to stop here when it was told first, else 0.
--
-- KEYS[1] part   KEYS[2] slices   KEYS[3] stopped
-- ARGV[1] stop   ARGV[2] event (16 hex digits)

local first = redis.call('HSETNX', KEYS[1], 'stop', ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('SADD', KEYS[3], ARGV[2])
  if first == 1 then redis.call('HSET', KEYS[1], 'caught', 1) end
end
return redis.call('HEXISTS', KEYS[1], 'caught')
