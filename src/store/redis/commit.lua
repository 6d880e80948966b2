-- A commit: what has ended, what is kept, what was tried. Arguments: how many owners are ours, and which; whether something is to be kept;
-- what gearmand's keys begin with; then what is to be done, each a letter, a number and more. Answers which puts met a key, with
-- the number that it has and what is known of it, and of what was doubtful what stays.
local family, at = some(2)
local puts, prefix = ARGV[at] == '1', ARGV[at + 1]
at = at + 2
if not passes() then return fenced() end
if not puts then
    go_on_without_room()
elseif me == '0' then
    redis.call('SET', base .. 'room', '')
    redis.call('DEL', base .. 'room')
end
beat()
local owned, alone, dead = {}, {}, {}
for _, id in ipairs(family) do
    owned[#owned + 1], alone[#alone + 1], dead[#dead + 1] = named('owned', id), named('alone', id), named('dead', id)
end
local mine, mine_alone, mine_dead = named('owned', me), named('alone', me), named('dead', me)
-- Gearmand's key of it goes, if it still is about this one.
local function forget_key(number)
    for _, hash in ipairs(owned) do
        local key = redis.call('HGET', hash, number)
        if key then
            local now = redis.call('HGET', keys, key)
            if not now or now == number then
                redis.call('DEL', key)
                redis.call('HDEL', keys, key)
            end
            redis.call('HDEL', hash, number)
            redis.call('HDEL', extra, number)
            return key
        end
    end
end
-- What is another server's is left alone.
local function forget(number)
    local found = forget_key(number)
    for next = 1, #family do
        found = redis.call('HDEL', alone[next], number) == 1 or found
        found = redis.call('HDEL', dead[next], number) == 1 or found
    end
    if found then redis.call('HDEL', attempts, number) end
end
local function is_ours(number)
    for next = 1, #family do
        if redis.call('HEXISTS', owned[next], number) == 1 or redis.call('HEXISTS', alone[next], number) == 1 then
            return true
        end
    end
end
-- Nobody can have joined a job whose key nobody else can have.
local function is_joinable(number)
    for _, hash in ipairs(owned) do
        local key = redis.call('HGET', hash, number)
        if key then
            local dash = string.find(key, '-', #prefix + 1, true)
            return not dash or string.sub(key, dash + 1, dash + 9) ~= 'ringgear:'
        end
    end
end
local met, kept = {}, {}
while at <= #ARGV do
    local what, number = ARGV[at], ARGV[at + 1]
    if what == 'D' then
        forget(number)
        at = at + 2
    elseif what == 'U' then
        if is_joinable(number) then kept[#kept + 1] = number else forget(number) end
        at = at + 2
    elseif what == 'P' or what == 'N' then
        local key = ARGV[at + 2]
        if what == 'P' then forget(number) else forget_key(number) end
        if redis.call('EXISTS', key) == 1 then
            local there = redis.call('HGET', keys, key)
            met[#met + 1] = { number, there or '', there and redis.call('HGET', extra, there) or '' }
        else
            redis.call('HSET', key, 'data', ARGV[at + 3], 'priority', ARGV[at + 4])
            redis.call('HSET', mine, number, key)
            redis.call('HSET', keys, key, number)
            if ARGV[at + 5] ~= '' then redis.call('HSET', extra, number, ARGV[at + 5]) end
        end
        at = at + 6
    elseif what == 'A' or what == 'X' then
        forget(number)
        redis.call('HSET', what == 'A' and mine_alone or mine_dead, number, ARGV[at + 2])
        at = at + 3
    else
        if is_ours(number) then redis.call('HSET', attempts, number, ARGV[at + 2]) end
        at = at + 3
    end
end
return { met, kept }
