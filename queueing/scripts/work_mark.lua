-- Notes who is about to be sent, before it is sent. Replies 1; 0 when the claim is fenced off.
-- Marks of one claim add up: they are written one behind the other.
--
-- KEYS[1] slices
-- ARGV[1] slice id   ARGV[2] epoch   ARGV[3] mark

local id = ARGV[1]
local state = redis.call('HMGET', KEYS[1], id .. 'e', id .. 'm')
if state[1] ~= ARGV[2] then return 0 end
local before = state[2] or ''
if string.sub(before, -#ARGV[3]) ~= ARGV[3] then redis.call('HSET', KEYS[1], id .. 'm', before .. ARGV[3]) end
return 1
