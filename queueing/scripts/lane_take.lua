-- Takes permits from a lane's token bucket: as many as there are, up to what is wanted.
-- Replies {granted, wait (ms, 0 when all was granted), 1 if parked}.
--
-- A lane with a ramp fills at its pace instead of its rate (engine/rules/quota.py says why). Once a second or later the
-- pace is set anew: up by one step a second where more than half of what it gave was used, else down; never below one
-- step, never above the rate.
--
-- KEYS[1] lane hash: `tokens`, `at` (as of when, ms), `slow` (nothing until then, ms); with a ramp also `pace` (tokens a
--         second), `since` (set then, ms), `used` (tokens since then, less what was given back)
-- KEYS[2] parked lanes
-- ARGV[1] lane   ARGV[2] wanted   ARGV[3] now (ms)   ARGV[4] tokens a second (empty: no limit)   ARGV[5] burst
-- ARGV[6] wait while parked (ms)   ARGV[7] a time that far ahead of now is a clock set back (ms)
-- ARGV[8] seconds from nothing to the full rate (0: no ramp)

if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return {0, tonumber(ARGV[6]), 1} end
local wanted, now = tonumber(ARGV[2]), tonumber(ARGV[3])
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'slow', 'pace', 'since', 'used')
local slow = tonumber(state[3]) or 0
if slow > now then return {0, slow - now, 0} end
if ARGV[4] == '' then return {wanted, 0, 0} end

local rate, burst, ramp = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[8])
local tokens, at = tonumber(state[1]) or burst, tonumber(state[2]) or now
local is_set_back = at - now > tonumber(ARGV[7])
if now < at and not is_set_back then
  now = at -- clocks of workers differ a little: time in a bucket never runs back
end

local pace = rate
local since, used = tonumber(state[5]) or now, tonumber(state[6]) or 0
if ramp > 0 then
  local step = rate / ramp
  pace = math.min(rate, math.max(step, tonumber(state[4]) or step))
  if is_set_back then since, used = now, 0 end
  tokens = tokens + math.max(0, now - at) * pace / 1000
  local passed = (now - since) / 1000
  if passed >= 1 then
    local is_used = used > pace * passed / 2
    pace = math.min(rate, math.max(step, is_used and pace + step * math.min(passed, 2) or pace - step * passed))
    since, used = now, 0
  end
else
  tokens = tokens + math.max(0, now - at) * rate / 1000
end

tokens = math.min(tokens, burst)
local granted = math.min(wanted, math.floor(tokens))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), 'at', string.format('%d', now))
if ramp > 0 then
  redis.call('HSET', KEYS[1], 'pace', string.format('%.9f', pace), 'since', string.format('%d', since),
    'used', string.format('%d', used + granted))
end
if granted == wanted then return {granted, 0, 0} end

-- Not for a single token: grants of one person each would cut slices into crumbs.
local worth_it = math.min(wanted - granted, math.max(1, math.floor(math.min(burst / 2, pace))))
return {granted, math.max(1, math.ceil((worth_it - tokens) * 1000 / pace)), 0}
