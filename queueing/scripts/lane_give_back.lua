-- Gives permits back that were taken and not used; never more than the bucket holds. They do not count as used.
--
-- KEYS[1] lane hash
-- ARGV[1] permits   ARGV[2] burst

local state = redis.call('HMGET', KEYS[1], 'tokens', 'used')
local tokens, used = tonumber(state[1]), tonumber(state[2])
if not tokens then return 0 end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', math.min(tonumber(ARGV[2]), tokens + tonumber(ARGV[1]))))
if used then redis.call('HSET', KEYS[1], 'used', string.format('%d', used - tonumber(ARGV[1]))) end
return 1
