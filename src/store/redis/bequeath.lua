-- All that we have is left to others but some jobs, with which we go on as another server. Arguments: its number, name and version, how many
-- owners are ours, and which, how many jobs, and which. Answers whether the number was free.
go_on_without_room()
-- Before we ask whether we were taken over: if this was done, and nobody has heard of it, we may have been meanwhile.
if redis.call('EXISTS', server(ARGV[2])) == 1 then return 0 end
if not passes() then return fenced() end
enter(ARGV[2], ARGV[3], ARGV[4])
beat()
redis.call('HSET', server(me), 'state', 1)
local family, at = some(5)
local kept = some(at)
for _, number in ipairs(kept) do
    for _, id in ipairs(family) do
        for _, what in ipairs({ 'owned', 'alone', 'dead' }) do
            local value = redis.call('HGET', named(what, id), number)
            if value then
                redis.call('HSET', named(what, ARGV[2]), number, value)
                redis.call('HDEL', named(what, id), number)
            end
        end
    end
end
return 1
