-- Reads jobs. Arguments: how many owners, and which; how many bytes; then numbers. Answers each number with what it is, its key or record,
-- workload, priority, what else is known of it, and lost attempts: of as many numbers as there was room for.
local family, at = some(2)
local room, answer = tonumber(ARGV[at]), {}
-- Most jobs have none of these, and then none has to be asked for.
local has_extra, has_attempts = redis.call('EXISTS', extra) == 1, redis.call('EXISTS', attempts) == 1
-- Keys of gearmand's: of all numbers at once, for a call costs more than what it does.
local key_of = {}
for _, id in ipairs(family) do
    local missing = {}
    for next = at + 1, #ARGV do
        if not key_of[ARGV[next]] then missing[#missing + 1] = ARGV[next] end
    end
    if #missing == 0 then break end
    for next, key in ipairs(redis.call('HMGET', named('owned', id), unpack(missing))) do
        if key then key_of[missing[next]] = key end
    end
end
local function found(number)
    local lost = has_attempts and redis.call('HGET', attempts, number)
    local key = key_of[number]
    if key then
        local fields = redis.pcall('HMGET', key, 'data', 'priority')
        if fields.err then return { number, 'wrong', key }, 0 end
        local known = has_extra and redis.call('HGET', extra, number)
        return { number, 'owned', key, fields[1], fields[2], known, lost }, #(fields[1] or '')
    end
    for _, id in ipairs(family) do
        for _, what in ipairs({ 'alone', 'dead' }) do
            local record = redis.call('HGET', named(what, id), number)
            if record then return { number, what, record, false, false, false, lost }, #record end
        end
    end
    return { number, 'none' }, 0
end
for next = at + 1, #ARGV do
    local job, bytes = found(ARGV[next])
    answer[#answer + 1] = job
    room = room - bytes
    if room <= 0 then break end
end
return answer
