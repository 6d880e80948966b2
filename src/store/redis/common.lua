-- What all scripts begin with. Keys: what the names of ours begin with. Arguments: who we are, 0 if we are no server, then others.
local base, me = KEYS[1], ARGV[1]
local keys, extra, attempts = base .. 'keys', base .. 'extra', base .. 'attempts'
local servers, numbers, aside = base .. 'servers', base .. 'numbers', base .. 'aside'
local function named(what, id)
    if id == '0' and what ~= 'owned' then return base .. what end
    return base .. what .. ':' .. id
end
local function server(id)
    return base .. 'server:' .. id
end
-- Only the first change of a script is refused for want of memory. This one changes nothing, and needs none.
local function go_on_without_room()
    redis.call('SREM', servers, '-')
end
-- Whether we are there, and nobody has taken us over.
local function passes()
    if me == '0' then return true end
    local row = redis.call('HMGET', server(me), 'name', 'taken_by')
    return row[1] and not row[2]
end
local function fenced()
    return redis.error_reply('FENCED another server has taken over')
end
local function beat()
    if me ~= '0' then redis.call('HINCRBY', server(me), 'beat', 1) end
end
-- So many of the arguments from there, and where the next one is.
local function some(at)
    local list, count = {}, tonumber(ARGV[at])
    for next = at + 1, at + count do list[#list + 1] = ARGV[next] end
    return list, at + count + 1
end
-- A server of this number, name and version serves from now on.
local function enter(id, name, version)
    redis.call('SADD', servers, id)
    redis.call('HSET', server(id), 'name', name, 'version', version, 'beat', 0, 'state', 0, 'jobs', 0, 'bytes', 0,
        'started', redis.call('TIME')[1])
end
