-- A commit: what has ended, what is kept, what was tried. Keys: the lease, owned, extra, attempts, alone, dead.
-- Arguments: who we are, for how many milliseconds that is to hold, whether something is to be kept, then what is to be done, each a
-- letter, a number and more.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return redis.error_reply('FENCED another server has these keys now, or nobody was heard of for too long')
end
-- Only the first change of a script is refused for want of memory: where there is to be more, it is one that needs some, so all is
-- done or nothing.
if ARGV[3] == '1' then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
else
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
local owned, extra, attempts, alone, dead = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local function forget(number)
    local key = redis.call('HGET', owned, number)
    if key then
        redis.call('DEL', key)
        redis.call('HDEL', owned, number)
    end
    redis.call('HDEL', extra, number)
    redis.call('HDEL', attempts, number)
    redis.call('HDEL', alone, number)
    redis.call('HDEL', dead, number)
end
local met, at = {}, 4
while at <= #ARGV do
    local what, number = ARGV[at], ARGV[at + 1]
    if what == 'D' then
        forget(number)
        at = at + 2
    elseif what == 'P' then
        local key = ARGV[at + 2]
        forget(number)
        if redis.call('EXISTS', key) == 1 then
            met[#met + 1] = number
        else
            redis.call('HSET', key, 'data', ARGV[at + 3], 'priority', ARGV[at + 4])
            redis.call('HSET', owned, number, key)
            if ARGV[at + 5] ~= '' then
                redis.call('HSET', extra, number, ARGV[at + 5])
            end
        end
        at = at + 6
    elseif what == 'A' or what == 'X' then
        forget(number)
        redis.call('HSET', what == 'A' and alone or dead, number, ARGV[at + 2])
        at = at + 3
    else
        if redis.call('HEXISTS', owned, number) == 1 or redis.call('HEXISTS', alone, number) == 1 then
            redis.call('HSET', attempts, number, ARGV[at + 2])
        end
        at = at + 3
    end
end
return met
