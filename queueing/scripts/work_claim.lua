-- Claims slices of one lane and urgency on one shard under lease, tenants in turns by people.
-- A claim makes the slice's epoch odd; every odd epoch is one claim, an even one says that nobody has it in hand.
-- Replies for each: {slice, epoch, stop or false, body or false (sent once an event)}.
--
-- KEYS[1..4] queues of the shard (work_queue.lua)
-- KEYS[5] leases   KEYS[6] prefix of the slices   KEYS[7] prefix of the parts   KEYS[8] prefix of the bodies
-- ARGV[1] queue (lane|urgency)   ARGV[2] people: no further slice once so many are claimed
-- ARGV[3] slices at most   ARGV[4] deadline (ms)   ARGV[5] worker   ARGV[6] people in a turn

local claims, bodies = {}, {}
local taken, people, slices_max, quantum = 0, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[6])
while taken < people and #claims < slices_max do
  local ref, cost, event, id = next_ref(ARGV[1], quantum)
  if not ref then break end
  local slices = KEYS[6] .. event
  local slice = redis.call('HGET', slices, id)
  local body = false
  if bodies[event] == nil then
    body = redis.call('GET', KEYS[8] .. event)
    bodies[event] = body and true
  end
  -- a reference without slice or event is an orphan (somebody deleted keys): nobody can send it, it must not stop others
  if slice and bodies[event] then
    local epoch = redis.call('HINCRBY', slices, id .. 'e', 1)
    redis.call('HSET', slices, id .. 'w', ARGV[5])
    redis.call('ZADD', KEYS[5], ARGV[4], ref)
    claims[#claims + 1] = {slice, epoch, redis.call('HGET', KEYS[7] .. event, 'stop'), body}
    taken = taken + cost
  end
end
return claims
