-- We have ended. Arguments: whether nothing is left of us and of those that we took over, how many these are, and which.
if not passes() then return 0 end
go_on_without_room()
beat()
redis.call('HSET', server(me), 'state', 1)
local family = some(3)
if ARGV[2] ~= '1' then return 0 end
local is_ours = {}
for _, id in ipairs(family) do is_ours[id] = true end
for _, id in ipairs(family) do
    local taker = redis.call('HGET', server(id), 'taken_by')
    if redis.call('EXISTS', named('owned', id), named('alone', id), named('dead', id)) > 0 or taker and not is_ours[taker] then
        return 0
    end
end
for _, id in ipairs(family) do
    redis.call('DEL', server(id))
    redis.call('SREM', servers, id)
end
return 1
