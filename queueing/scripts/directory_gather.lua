-- Reads one field of each of many hashes.
-- KEYS[i]  a hash (an id's bucket, a roster)
-- ARGV[i]  the field to read there
-- Answers a list: the value, or nil where there is none.
local found = {}
for at, key in ipairs(KEYS) do
  found[at] = redis.call('HGET', key, ARGV[at])
end
return found
