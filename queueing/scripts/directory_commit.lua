-- Writes one block at once, if nobody wrote it since it was read.
-- KEYS[1]  the block's meta hash: v = version, o = what the write owes rosters, token index and journal
-- KEYS[2]  set of open blocks of this tag
-- KEYS[3..] the hashes to change
-- ARGV[1]  the version that was read (0: none yet); ARGV[2] the new version
-- ARGV[3]  block number; ARGV[4] what is owed (empty: nothing); ARGV[5] 1 when the block stays open
-- ARGV[6..] for each of KEYS[3..]: how many arguments to set, field and value by turns; how many fields to delete, they
-- Answers 1, or 0 when the version has moved on and nothing was written.
if tonumber(redis.call('HGET', KEYS[1], 'v') or 0) ~= tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'v', ARGV[2])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'o', ARGV[4])
end
if ARGV[5] == '1' then
  redis.call('SADD', KEYS[2], ARGV[3])
end
local at = 6
local function each(verb, key)
  local last = at + tonumber(ARGV[at])
  local from = at + 1
  while from <= last do  -- Lua's stack holds a few thousand arguments
    local to = math.min(from + 999, last)
    redis.call(verb, key, unpack(ARGV, from, to))
    from = to + 1
  end
  at = last + 1
end
for key = 3, #KEYS do
  each('HSET', KEYS[key])
  each('HDEL', KEYS[key])
end
return 1
