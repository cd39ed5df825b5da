-- Writes a shortened list back, if it is still the one that was read.
--
-- KEYS[1]  {i<group>}:p:<n>   the person's list
-- ARGV[1]  the list as it was read
-- ARGV[2]  the list to write
-- Returns 1 when it was written, 0 when the list has changed meanwhile.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
