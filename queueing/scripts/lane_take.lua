-- Takes permits from a lane's token bucket: as many as there are, up to what is wanted.
-- Replies {granted, wait (ms, 0 when all was granted), 1 if parked}.
--
-- KEYS[1] lane hash: `tokens`, `at` (as of when, ms), `slow` (nothing until then, ms)   KEYS[2] parked lanes
-- ARGV[1] lane   ARGV[2] wanted   ARGV[3] now (ms)   ARGV[4] tokens a second (empty: no limit)   ARGV[5] burst
-- ARGV[6] wait while parked (ms)   ARGV[7] a time that far ahead of now is a clock set back (ms)

if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return {0, tonumber(ARGV[6]), 1} end
local wanted, now = tonumber(ARGV[2]), tonumber(ARGV[3])
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'slow')
local slow = tonumber(state[3]) or 0
if slow > now then return {0, slow - now, 0} end
if ARGV[4] == '' then return {wanted, 0, 0} end

local per_ms, burst = tonumber(ARGV[4]) / 1000, tonumber(ARGV[5])
local tokens, at = tonumber(state[1]) or burst, tonumber(state[2]) or now
if now > at then
  tokens = tokens + (now - at) * per_ms
elseif at - now <= tonumber(ARGV[7]) then
  now = at -- clocks of workers differ a little: time in a bucket never runs back
end
tokens = math.min(tokens, burst)
local granted = math.min(wanted, math.floor(tokens))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), 'at', string.format('%d', now))
if granted == wanted then return {granted, 0, 0} end

-- Not for a single token: grants of one person each would cut slices into crumbs.
local worth_it = math.min(wanted - granted, math.max(1, math.floor(burst / 2)))
return {granted, math.max(1, math.ceil((worth_it - tokens) / per_ms)), 0}
