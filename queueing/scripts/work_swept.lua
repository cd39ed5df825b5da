-- Takes an event off the list of those to sweep, when no slice of it is left here. The sweep flags all parts before.
--
-- KEYS[1] slices   KEYS[2] stopped
-- ARGV[1] event (16 hex digits)

if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return redis.call('SREM', KEYS[2], ARGV[1])
