-- Takes nothing from a lane until a time; the latest time that anybody asked for holds.
--
-- KEYS[1] lane hash
-- ARGV[1] until (ms)   ARGV[2] why

if tonumber(ARGV[1]) <= (tonumber(redis.call('HGET', KEYS[1], 'slow')) or 0) then return 0 end
redis.call('HSET', KEYS[1], 'slow', ARGV[1], 'why', ARGV[2])
return 1
