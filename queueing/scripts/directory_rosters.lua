-- Writes masks of rosters, each guarded by the version of the block that it speaks of.
-- KEYS[i]  a roster
-- ARGV     for each roster: how many blocks, then by turns block number and value (block version u32 big-endian, mask)
-- A stored mask of the same or a higher version stays, so that a late or repeated write changes nothing.
local at = 1
for _, key in ipairs(KEYS) do
  local count = tonumber(ARGV[at])
  for pair = 1, count do
    local block, value = ARGV[at + 2 * pair - 1], ARGV[at + 2 * pair]
    local present = redis.call('HGET', key, block)
    if not present or struct.unpack('>I4', present) < struct.unpack('>I4', value) then
      redis.call('HSET', key, block, value)
    end
  end
  at = at + 1 + 2 * count
end
return 1
