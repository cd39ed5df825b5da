-- Takes an event off the list of those to sweep, when nothing of it is left here and all its parts are flagged.
--
-- KEYS[1] part   KEYS[2] slices   KEYS[3] stopped
-- ARGV[1] event (16 hex digits)

if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local facts = redis.call('HMGET', KEYS[1], 'parts', 'flagged')
if facts[1] and not facts[2] then return 0 end
return redis.call('SREM', KEYS[3], ARGV[1])
