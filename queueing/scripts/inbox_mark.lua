-- Marks items of one person's list, and pulls items from the shelf into it.
--
-- KEYS[1]   {i<group>}:p:<n>   the person's list: items of 16 bytes, event (8) arrival (6) state (1) flags (1)
-- ARGV[1]   the state, 0 to 3
-- ARGV[2]   1 when an item may go back to a lower state, else 0
-- ARGV[3..] pairs: event number (8 bytes, little-endian), and the item to put where the event is not in the list
--           (16 bytes, already in its state), or nothing
-- Returns one character a pair: 0 unchanged, 1 changed or put, - not in the list and nothing to put.

local state = tonumber(ARGV[1])
local goes_back = ARGV[2] == '1'
local list = redis.call('GET', KEYS[1]) or ''

local function place_of(event)
  local at = string.find(list, event, 1, true)
  while at and (at - 1) % 16 ~= 0 do
    at = string.find(list, event, at + 1, true)
  end
  return at
end

local said = {}
for index = 3, #ARGV, 2 do
  local at = place_of(ARGV[index])
  local answer = '0'
  if at then
    local present = string.byte(list, at + 14)
    if present < state or (goes_back and present > state) then
      redis.call('SETRANGE', KEYS[1], at + 13, string.char(state))
      answer = '1'
    end
  elseif ARGV[index + 1] ~= '' then
    redis.call('APPEND', KEYS[1], ARGV[index + 1])
    list = list .. ARGV[index + 1]
    answer = '1'
  else
    answer = '-'
  end
  said[#said + 1] = answer
end
return table.concat(said)
