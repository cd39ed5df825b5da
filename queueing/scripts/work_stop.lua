-- Stops an event at its home shard; the first stop wins. Whoever calls flags the other parts afterwards.
-- An event that is neither frozen nor planned is closed at once: its audience is empty and nothing will be planned.
-- Replies false when the event is unknown, else
-- {1 if this was the first stop, the stop that holds, parts or false, 1 if the first stop found something to stop here}.
--
-- KEYS[1] part (home)   KEYS[2] body   KEYS[3] stopped   KEYS[4] slices
-- ARGV[1] stop   ARGV[2] now (ms)   ARGV[3] event (16 hex digits)

if redis.call('EXISTS', KEYS[2]) == 0 then return false end
local first = redis.call('HSETNX', KEYS[1], 'stop', ARGV[1])
local facts = redis.call('HMGET', KEYS[1], 'stop', 'parts', 'audience', 'flagged', 'planned')
local live = redis.call('EXISTS', KEYS[4])
if first == 1 and (live == 1 or not facts[5]) then redis.call('HSET', KEYS[1], 'caught', 1) end
if not facts[2] and not facts[3] then redis.call('HSETNX', KEYS[1], 'planned', ARGV[2]) end
if live == 1 or (facts[2] and not facts[4]) then redis.call('SADD', KEYS[3], ARGV[3]) end
return {first, facts[1], facts[2], redis.call('HEXISTS', KEYS[1], 'caught')}
