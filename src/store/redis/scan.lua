-- Looks through some of all keys. Arguments: where we are, how many keys, what gearmand's begin with. Answers where we are then, keys of
-- gearmand's that nobody has given a number, and numbers of servers that are not there any more and have jobs.
local prefix = ARGV[4]
local answer = redis.call('SCAN', ARGV[2], 'COUNT', ARGV[3])
local strange, orphans = {}, {}
for _, key in ipairs(answer[2]) do
    if string.sub(key, 1, #prefix) == prefix then
        if redis.call('HEXISTS', keys, key) == 0 then strange[#strange + 1] = key end
    elseif string.sub(key, 1, #base) == base then
        local what, id = string.match(string.sub(key, #base + 1), '^(%a+):(%d+)$')
        if (what == 'owned' or what == 'alone' or what == 'dead') and id ~= '0' and redis.call('SISMEMBER', servers, id) == 0 then
            orphans[#orphans + 1] = id
        end
    end
end
return { answer[1], strange, orphans }
