-- Shared by the work scripts and put before each that names it: the ready queues of one shard.
-- Tenants take turns by deficit round robin; the cost of a reference is its people.
-- A tenant stands in the ring exactly while its queue is not empty.
--
-- A reference is text: lane|urgency|tenant|cost|event|slice id
--
-- KEYS[1] ready   hash: `s|<q>` slices, `p|<q>` people; <q> is lane|urgency
-- KEYS[2] prefix of the rings, KEYS[3] of the credits, KEYS[4] of the tenants' queues (same shard, same hash tag)

local function read_ref(ref)
  return string.match(ref, '^([^|]+|%d)|([^|]+)|(%d+)|(%x+)|(.+)$')
end

local function count_ready(where, slices, people)
  redis.call('HINCRBY', KEYS[1], 'p|' .. where, people)
  if redis.call('HINCRBY', KEYS[1], 's|' .. where, slices) == 0 then
    redis.call('HDEL', KEYS[1], 's|' .. where, 'p|' .. where)
  end
end

local function enqueue(ref, since)
  local where, tenant, cost = read_ref(ref)
  local queue = KEYS[4] .. where .. '|' .. tenant
  if redis.call('ZADD', queue, 'NX', since, ref) == 0 then return end
  count_ready(where, 1, cost)
  if redis.call('ZCARD', queue) == 1 then redis.call('RPUSH', KEYS[2] .. where, tenant) end
end

-- Several references of one tenant's queue that cost 1 each: {since, reference, since, reference, ...}
local function enqueue_all(where, tenant, members)
  local queue = KEYS[4] .. where .. '|' .. tenant
  local added = redis.call('ZADD', queue, 'NX', unpack(members))
  if added == 0 then return end
  count_ready(where, added, added)
  if redis.call('ZCARD', queue) == added then redis.call('RPUSH', KEYS[2] .. where, tenant) end
end

-- Before everybody else of the same tenant: it has waited before.
local function enqueue_first(ref, now)
  local where, tenant = read_ref(ref)
  local first = redis.call('ZRANGE', KEYS[4] .. where .. '|' .. tenant, 0, 0, 'WITHSCORES')[2]
  enqueue(ref, first and tonumber(first) - 1 or now)
end

local function leave_ring(where, tenant)
  redis.call('LREM', KEYS[2] .. where, 1, tenant)
  redis.call('HDEL', KEYS[3] .. where, tenant)
end

local function dequeue(ref)
  local where, tenant, cost = read_ref(ref)
  local queue = KEYS[4] .. where .. '|' .. tenant
  if redis.call('ZREM', queue, ref) == 0 then return false end
  count_ready(where, -1, -cost)
  if redis.call('ZCARD', queue) == 0 then leave_ring(where, tenant) end
  return true
end

-- Takes out the oldest reference of the tenant whose turn it is. Credit is paid when a tenant goes to the back of the
-- ring, so that a turn that one claim began is ended by the next; who is new starts with one quantum.
local function next_ref(where, quantum)
  local ring, credits = KEYS[2] .. where, KEYS[3] .. where
  while true do
    local tenant = redis.call('LINDEX', ring, 0)
    if not tenant then
      redis.call('HDEL', KEYS[1], 's|' .. where, 'p|' .. where)
      return nil
    end
    local queue = KEYS[4] .. where .. '|' .. tenant
    local ref = redis.call('ZRANGE', queue, 0, 0)[1]
    if not ref then -- somebody deleted the queue: heal, or every claim would come here again
      leave_ring(where, tenant)
    else
      local _, _, cost, event, id = read_ref(ref)
      cost = tonumber(cost)
      local credit = tonumber(redis.call('HGET', credits, tenant)) or quantum
      if credit >= cost then
        redis.call('ZREM', queue, ref)
        count_ready(where, -1, -cost)
        if redis.call('ZCARD', queue) == 0 then
          leave_ring(where, tenant)
        else
          redis.call('HSET', credits, tenant, credit - cost)
        end
        return ref, cost, event, id
      end
      redis.call('LMOVE', ring, ring, 'LEFT', 'RIGHT')
      redis.call('HSET', credits, tenant, credit + quantum)
    end
  end
end
