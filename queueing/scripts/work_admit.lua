-- Makes events of one shard durable: idempotency record, body, expiry index, planning queue. A repetition changes
-- nothing, be it of an earlier call or of an event before it in this one.
-- Replies one item an event, in order: 1 when it is new; 0 when its number is taken by another event and a new one must
-- be proposed; else what stands under its idempotency key: the event (16 hex digits), then the fingerprint.
--
-- Commands that take many keys run once a call, since each costs the store about as much as what it does.
--
-- KEYS[1..4] queues of the shard (work_queue.lua)
-- KEYS[5] prefix of the idempotency records   KEYS[6] prefix of the bodies   KEYS[7] expiry index
-- ARGV[1] lifetime of the records (ms)
-- then for each event: event (16 hex digits), digest of its idempotency key, fingerprint, body,
--                      planning reference, admitted (ms), expires (ms)

local FIELDS = 7
local count = (#ARGV - 1) / FIELDS
local records, bodies = {}, {}
for n = 1, count do
  local at = 2 + (n - 1) * FIELDS
  bodies[n] = KEYS[6] .. ARGV[at]
  records[n] = KEYS[5] .. ARGV[at + 1]
end
local known = redis.call('MGET', unpack(records))
local taken = redis.call('MGET', unpack(bodies))

local replies, made, numbers = {}, {}, {} -- made: record -> what this call wrote; numbers: bodies that it will write
local writes, expiries, queues = {}, {}, {}
for n = 1, count do
  local at = 2 + (n - 1) * FIELDS
  local record, body = records[n], bodies[n]
  local stands = known[n] or made[record]
  if stands then
    replies[n] = stands
  elseif taken[n] or numbers[body] then
    replies[n] = 0
  else
    replies[n] = 1
    made[record], numbers[body] = ARGV[at] .. ARGV[at + 2], true
    redis.call('SET', record, made[record], 'PX', ARGV[1])
    writes[#writes + 1], writes[#writes + 2] = body, ARGV[at + 3]
    expiries[#expiries + 1], expiries[#expiries + 2] = ARGV[at + 6], ARGV[at]
    local where, tenant = read_ref(ARGV[at + 4])
    local queue = where .. '|' .. tenant
    local waiting = queues[queue] or { where = where, tenant = tenant }
    queues[queue] = waiting
    waiting[#waiting + 1], waiting[#waiting + 2] = ARGV[at + 5], ARGV[at + 4]
  end
end
if #writes > 0 then
  redis.call('MSET', unpack(writes))
  redis.call('ZADD', KEYS[7], unpack(expiries))
  for _, waiting in pairs(queues) do
    enqueue_all(waiting.where, waiting.tenant, waiting)
  end
end
return replies
