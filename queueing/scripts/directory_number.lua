-- Gives numbers to ids that have none.
-- KEYS[i]        the bucket of an id
-- ARGV[2i-1, 2i] the id, and the number (u32, big-endian) it gets if it has none
-- Answers a list: the number that each id has now.
local numbers = {}
for at, key in ipairs(KEYS) do
  local id, number = ARGV[2 * at - 1], ARGV[2 * at]
  if redis.call('HSETNX', key, id, number) == 1 then
    numbers[at] = number
  else
    numbers[at] = redis.call('HGET', key, id)
  end
end
return numbers
