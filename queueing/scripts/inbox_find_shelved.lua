-- Says for whom an event lies on the shelves of blocks of one group.
--
-- KEYS      {i<group>}:s:<block>   entries of 48 bytes: event (8) arrival (6) nothing (2) mask (32)
-- ARGV[1]   the event number, 8 bytes, little-endian
-- Returns for each shelf the masks of the event, joined.

local said = {}
for index = 1, #KEYS do
  local shelf = redis.call('GET', KEYS[index]) or ''
  local masks = {}
  local at = string.find(shelf, ARGV[1], 1, true)
  while at do
    if (at - 1) % 48 == 0 then
      masks[#masks + 1] = string.sub(shelf, at + 16, at + 47)
    end
    at = string.find(shelf, ARGV[1], at + 1, true)
  end
  said[index] = table.concat(masks)
end
return said
