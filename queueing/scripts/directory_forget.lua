-- Forgets the owner of device tokens, unless somebody claimed them since.
-- KEYS[i]        the bucket of a token's digest
-- ARGV[2i-1, 2i] rest of the digest; owner: number and block version of the loss (u32 each, big-endian)
-- A claim with a higher block version is newer than the loss and stays.
local gone = 0
for at, key in ipairs(KEYS) do
  local digest, owner = ARGV[2 * at - 1], ARGV[2 * at]
  local present = redis.call('HGET', key, digest)
  if present and string.sub(present, 1, 4) == string.sub(owner, 1, 4)
    and struct.unpack('>I4', present, 5) <= struct.unpack('>I4', owner, 5) then
    gone = gone + redis.call('HDEL', key, digest)
  end
end
return gone
