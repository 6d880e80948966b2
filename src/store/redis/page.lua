-- Reads jobs. Arguments: how many owners, and which; how many bytes; then numbers. Answers each number with what it is, its key or record,
-- workload, priority, what else is known of it, and lost attempts: of as many numbers as there was room for.
local family, at = some(2)
local room, answer = tonumber(ARGV[at]), {}
local function found(number)
    for _, id in ipairs(family) do
        local key = redis.call('HGET', named('owned', id), number)
        if key then
            local length = redis.pcall('HSTRLEN', key, 'data')
            if type(length) ~= 'number' then return { number, 'wrong', key }, 0 end
            local fields = redis.call('HMGET', key, 'data', 'priority')
            local known = redis.call('HMGET', extra, number)
            return { number, 'owned', key, fields[1], fields[2], known[1], redis.call('HGET', attempts, number) }, length
        end
        for _, what in ipairs({ 'alone', 'dead' }) do
            local record = redis.call('HGET', named(what, id), number)
            if record then
                return { number, what, record, false, false, false, redis.call('HGET', attempts, number) }, #record
            end
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
