-- Puts one event onto the shelves of blocks of one group, and says so live.
--
-- A retried slice may name people of a block again, or others of them: each different mask is an entry of its own,
-- and readers join the entries of an event. The same entry is never put twice.
--
-- KEYS[1]   {i<group>}:clock       the group's last arrival, milliseconds
-- KEYS[2..] {i<group>}:s:<block>   entries of 48 bytes: event (8) arrival (6) nothing (2) mask (32), oldest first
-- ARGV[1]   the event number, 8 bytes, little-endian
-- ARGV[2]   the channel of live hints
-- ARGV[3]   the group, 1 byte
-- ARGV[4]   entries older than this many milliseconds are dropped
-- ARGV[5]   bytes that a shelf may hold; the oldest entries beyond are dropped
-- ARGV[6..] block (4 bytes, little-endian) and mask (32 bytes) of KEYS[2..]
-- Returns for each shelf the masks that the event had on it before, joined.

local event = ARGV[1]
local time = redis.call('TIME')
local before = tonumber(redis.call('GET', KEYS[1]) or '0')
local arrival = math.max(tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), before + 1)
local stamp = string.sub(struct.pack('<I8', arrival), 1, 6)
local oldest = arrival - tonumber(ARGV[4])
local limit = tonumber(ARGV[5])

local function masks_of(shelf)
  local masks = {}
  local at = string.find(shelf, event, 1, true)
  while at do
    if (at - 1) % 48 == 0 then
      masks[#masks + 1] = string.sub(shelf, at + 16, at + 47)
    end
    at = string.find(shelf, event, at + 1, true)
  end
  return masks
end

local function first_kept(shelf)
  local at = 1
  while at <= #shelf and
    (#shelf - at + 1 > limit or struct.unpack('<I8', string.sub(shelf, at + 8, at + 13) .. '\0\0') < oldest) do
    at = at + 48
  end
  return at
end

local earlier, put = {}, {}
for index = 2, #KEYS do
  local shelf = redis.call('GET', KEYS[index]) or ''
  local mask = string.sub(ARGV[index + 4], 5)
  local masks = masks_of(shelf)
  local is_there = false
  for _, known in ipairs(masks) do
    is_there = is_there or known == mask
  end
  if not is_there then
    local entry = event .. stamp .. '\0\0' .. mask
    local from = first_kept(shelf .. entry)
    if from > 1 then
      redis.call('SET', KEYS[index], string.sub(shelf .. entry, from))
    else
      redis.call('APPEND', KEYS[index], entry)
    end
    put[#put + 1] = ARGV[index + 4]
  end
  earlier[index - 1] = table.concat(masks)
end
if #put > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', arrival))
  redis.call('PUBLISH', ARGV[2],
    's' .. ARGV[3] .. struct.pack('<I8I8', before, arrival) .. event .. table.concat(put))
end
return earlier
