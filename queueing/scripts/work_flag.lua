-- Tells one part of an event that the event was stopped.
--
-- KEYS[1] part   KEYS[2] slices   KEYS[3] stopped
-- ARGV[1] stop   ARGV[2] event (16 hex digits)

redis.call('HSETNX', KEYS[1], 'stop', ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('SADD', KEYS[3], ARGV[2]) end
return 1
