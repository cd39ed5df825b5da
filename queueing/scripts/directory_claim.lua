-- Claims device tokens for their new owners. A token that another person owns is not taken from it here.
-- KEYS[i]        the bucket of a token's digest
-- ARGV[2i-1, 2i] rest of the digest; owner: number and coming block version (u32 each, big-endian)
-- Answers a list: nil where the claim holds, else the present owner as it is stored.
local owners = {}
for at, key in ipairs(KEYS) do
  local digest, owner = ARGV[2 * at - 1], ARGV[2 * at]
  local present = redis.call('HGET', key, digest)
  if present and string.sub(present, 1, 4) ~= string.sub(owner, 1, 4) then
    owners[at] = present
  else
    redis.call('HSET', key, digest, owner)
    owners[at] = false
  end
end
return owners
