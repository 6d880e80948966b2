-- Shows that we are there, and looks. Arguments: how many jobs we have, and how many bytes. Answers whether we were counted, whether there
-- is something that nobody owns, how many keys there are that are none of what is known, the time, and all servers.
go_on_without_room()
local counted = me ~= '0' and passes()
if counted then
    beat()
    redis.call('HSET', server(me), 'jobs', ARGV[2], 'bytes', ARGV[3])
end
local rows, leads = {}, {}
for _, id in ipairs(redis.call('SMEMBERS', servers)) do
    local row = redis.call('HMGET', server(id), 'name', 'beat', 'state', 'taken_by', 'jobs', 'bytes', 'version', 'started')
    table.insert(row, 1, id)
    rows[#rows + 1] = row
    if row[5] then leads[row[5]] = true end
end
local known = { servers, numbers, aside, keys, extra, attempts }
local nobodys = { named('owned', '0'), named('alone', '0'), named('dead', '0') }
for _, name in ipairs(nobodys) do known[#known + 1] = name end
local there = {}
for _, row in ipairs(rows) do
    local id = row[1]
    local jobs = redis.call('EXISTS', named('owned', id), named('alone', id), named('dead', id))
    -- Whoever was taken over and has nothing left is struck off.
    if row[5] and jobs == 0 and not leads[id] then
        redis.call('DEL', server(id))
        redis.call('SREM', servers, id)
    else
        for _, what in ipairs({ 'owned', 'alone', 'dead', 'server' }) do known[#known + 1] = base .. what .. ':' .. id end
        there[#there + 1] = row
    end
end
local ours = 0
for from = 1, #known, 1000 do
    ours = ours + redis.call('EXISTS', unpack(known, from, math.min(from + 999, #known)))
end
local strange = redis.call('DBSIZE') - redis.call('HLEN', keys) - ours
return { counted and 1 or 0, redis.call('EXISTS', unpack(nobodys)), strange, redis.call('TIME')[1], there }
