-- Keys of gearmand's that nobody has given a number become ours. Arguments: each a key and its number. Answers keys that are none of jobs,
-- each with what it is.
if not passes() then return fenced() end
beat()
local mine, passed = named('owned', me), {}
for at = 2, #ARGV, 2 do
    local key, number = ARGV[at], ARGV[at + 1]
    -- Nearly all are jobs that nobody knows, and there are many: what tells that with the fewest questions comes first.
    local length = redis.pcall('HSTRLEN', key, 'data')
    local is_job = type(length) == 'number' and (length > 0 or redis.call('HEXISTS', key, 'data') == 1)
    local kind = not is_job and redis.call('TYPE', key)['ok']
    if kind and kind ~= 'none' and redis.call('HEXISTS', keys, key) == 0 then
        if kind == 'string' then
            -- As gearmand writes it since 1.1.16.
            local data = redis.call('GET', key)
            redis.call('DEL', key)
            redis.call('HSET', key, 'data', data, 'priority', 1)
            is_job = true
        else
            passed[#passed + 1] = { key, kind }
        end
    end
    if is_job and redis.call('HSETNX', keys, key, number) == 1 then redis.call('HSET', mine, number, key) end
end
return passed
