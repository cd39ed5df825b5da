-- Keeps a lease. Replies 1; 0 when the claim is fenced off.
--
-- KEYS[1] slices   KEYS[2] leases
-- ARGV[1] slice id   ARGV[2] epoch   ARGV[3] reference   ARGV[4] deadline (ms)

if redis.call('HGET', KEYS[1], ARGV[1] .. 'e') ~= ARGV[2] then return 0 end
redis.call('ZADD', KEYS[2], 'XX', 'GT', ARGV[4], ARGV[3])
return 1
