-- Keeps jobs that nobody can read for somebody to look at. Arguments: how many owners, and which, then numbers.
if not passes() then return fenced() end
go_on_without_room()
beat()
local family, at = some(2)
for next = at, #ARGV do
    for _, id in ipairs(family) do
        for _, what in ipairs({ 'owned', 'alone', 'dead' }) do
            local value = redis.call('HGET', named(what, id), ARGV[next])
            if value then
                redis.call('HSET', aside, ARGV[next], value)
                redis.call('HDEL', named(what, id), ARGV[next])
            end
        end
    end
end
return 0
