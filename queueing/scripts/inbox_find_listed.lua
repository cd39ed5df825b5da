-- Says which people of one group have an event in their list.
--
-- KEYS      {i<group>}:p:<n>   lists: items of 16 bytes that begin with the event number
-- ARGV[1]   the event number, 8 bytes, little-endian
-- Returns one character a person: 1 has it, 0 has not.

local said = {}
for index = 1, #KEYS do
  local list = redis.call('GET', KEYS[index]) or ''
  local at = string.find(list, ARGV[1], 1, true)
  while at and (at - 1) % 16 ~= 0 do
    at = string.find(list, ARGV[1], at + 1, true)
  end
  said[index] = at and '1' or '0'
end
return table.concat(said)
