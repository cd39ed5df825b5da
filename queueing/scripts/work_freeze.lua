-- Freezes the audience of an event at its home shard and notes its parts; the first one that comes is kept.
-- Replies the frozen audience; false when the event was stopped before it was frozen, or is planned already.
-- What is frozen is replied even when a stop came later: then all parts are planned and swept, and the ledger adds up.
--
-- KEYS[1] part (home)   KEYS[2] frozen audience
-- ARGV[1] packed roster   ARGV[2] shards of the parts, a bit each

local kept = redis.call('GET', KEYS[2])
if kept then return kept end
if redis.call('HEXISTS', KEYS[1], 'stop') == 1 or redis.call('HEXISTS', KEYS[1], 'planned') == 1 then return false end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 'parts', ARGV[2])
return ARGV[1]
