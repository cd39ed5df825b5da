-- Puts one event into the packed lists of people of one group, where it is not there yet, and says so live.
--
-- KEYS[1]   {i<group>}:clock     the group's last arrival, milliseconds
-- KEYS[2..] {i<group>}:p:<n>     a person's list: items of 16 bytes, event (8) arrival (6) state (1) flags (1)
-- ARGV[1]   the event number, 8 bytes, little-endian
-- ARGV[2]   the channel of live hints
-- ARGV[3]   the group, 1 byte
-- ARGV[4]   bytes beyond which a list is reported as overfull
-- ARGV[5..] the number of the person of KEYS[2..], 4 bytes, little-endian
-- Returns one character a person: 0 was there, 1 put, 2 put and the list is overfull.

local event = ARGV[1]
local time = redis.call('TIME')
local before = tonumber(redis.call('GET', KEYS[1]) or '0')
local arrival = math.max(tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), before + 1)
local item = event .. string.sub(struct.pack('<I8', arrival), 1, 6) .. '\0\0'
local limit = tonumber(ARGV[4])

local function has(list)
  local at = string.find(list, event, 1, true)
  while at and (at - 1) % 16 ~= 0 do
    at = string.find(list, event, at + 1, true)
  end
  return at
end

local said, put = {}, {}
for index = 2, #KEYS do
  if has(redis.call('GET', KEYS[index]) or '') then
    said[index - 1] = '0'
  else
    said[index - 1] = redis.call('APPEND', KEYS[index], item) > limit and '2' or '1'
    put[#put + 1] = ARGV[index + 3]
  end
end
if #put > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', arrival))
  redis.call('PUBLISH', ARGV[2],
    'n' .. ARGV[3] .. struct.pack('<I8I8', before, arrival) .. event .. table.concat(put))
end
return table.concat(said)
