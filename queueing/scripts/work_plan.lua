-- Writes one part of an event: body copy, audience with suppressions, counters, slices and their queue entries.
-- Replies 1; 0 when the part was written before, or when the event was stopped before its audience was frozen.
-- A part of a frozen event that was stopped is written without queue entries, for the sweep to settle.
--
-- KEYS[1..4] queues of the shard (work_queue.lua)
-- KEYS[5] part   KEYS[6] body   KEYS[7] audience   KEYS[8] slices   KEYS[9] delayed   KEYS[10] stopped
-- ARGV[1] 1 on the home shard, else 0   ARGV[2] event (16 hex digits)   ARGV[3] body   ARGV[4] audience
-- ARGV[5] people in the audience   ARGV[6] admitted (ms)   ARGV[7] n: how many counters follow
-- then n times: counter, value   then for each slice: reference, id, slice, due (ms, 0 at once)

local stop = redis.call('HGET', KEYS[5], 'stop')
if stop and ARGV[1] == '1' and redis.call('HEXISTS', KEYS[5], 'parts') == 0 then return 0 end
if redis.call('HSETNX', KEYS[5], 'audience', ARGV[5]) == 0 then return 0 end
redis.call('SET', KEYS[6], ARGV[3])
redis.call('SET', KEYS[7], ARGV[4])
local at = 8
for _ = 1, tonumber(ARGV[7]) do
  redis.call('HSET', KEYS[5], ARGV[at], ARGV[at + 1])
  at = at + 2
end
if stop and ARGV[at] then redis.call('SADD', KEYS[10], ARGV[2]) end
while ARGV[at] do
  local ref, id, slice, due = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  redis.call('HSET', KEYS[8], id, slice)
  if not stop then
    if due == '0' then
      enqueue(ref, ARGV[6])
    else
      redis.call('ZADD', KEYS[9], due, ref)
    end
  end
  at = at + 4
end
return 1
