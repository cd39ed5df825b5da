-- Gives permits back that were taken and not used; never more than the bucket holds.
--
-- KEYS[1] lane hash
-- ARGV[1] permits   ARGV[2] burst

local tokens = tonumber(redis.call('HGET', KEYS[1], 'tokens'))
if not tokens then return 0 end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', math.min(tonumber(ARGV[2]), tokens + tonumber(ARGV[1]))))
return 1
