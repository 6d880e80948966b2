-- Keys of gearmand's that nobody has given a number become ours. Arguments: each a key and its number. Answers keys that are none of jobs,
-- each with what it is.
if not passes() then return fenced() end
beat()
local mine, passed = named('owned', me), {}
for at = 2, #ARGV, 2 do
    local key, number = ARGV[at], ARGV[at + 1]
    local kind = redis.call('TYPE', key)['ok']
    if redis.call('HEXISTS', keys, key) == 0 and kind ~= 'none' then
        if kind == 'string' then
            -- As gearmand writes it since 1.1.16.
            local data = redis.call('GET', key)
            redis.call('DEL', key)
            redis.call('HSET', key, 'data', data, 'priority', 1)
        end
        if kind == 'string' or kind == 'hash' and redis.call('HEXISTS', key, 'data') == 1 then
            redis.call('HSET', mine, number, key)
            redis.call('HSET', keys, key, number)
        else
            passed[#passed + 1] = { key, kind }
        end
    end
end
return passed
