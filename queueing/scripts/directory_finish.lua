-- Notes that a block owes nothing more, and that letters were heard.
-- KEYS[1]  the block's meta hash (v version, o owed); KEYS[2] its letters; KEYS[3] set of open blocks of this tag
-- ARGV[1]  the version whose debts are paid (0: none); ARGV[2] block number
-- ARGV[3..] letters by turns: field, and the value that was heard; a newer letter in its place stays
if redis.call('HGET', KEYS[1], 'v') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'o')
end
for at = 3, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[at]) == ARGV[at + 1] then
    redis.call('HDEL', KEYS[2], ARGV[at])
  end
end
if redis.call('HEXISTS', KEYS[1], 'o') == 0 and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('SREM', KEYS[3], ARGV[2])
end
return 1
