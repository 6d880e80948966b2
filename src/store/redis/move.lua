-- Jobs of somebody who is no server become ours. Arguments: whose they are, then their numbers.
if not passes() then return fenced() end
go_on_without_room()
beat()
for at = 3, #ARGV do
    local number = ARGV[at]
    for _, what in ipairs({ 'owned', 'alone', 'dead' }) do
        local value = redis.call('HGET', named(what, ARGV[2]), number)
        if value then
            if what == 'owned' then redis.call('HSET', keys, value, number) end
            redis.call('HSET', named(what, me), number, value)
            if me ~= ARGV[2] then redis.call('HDEL', named(what, ARGV[2]), number) end
        end
    end
end
return 0
