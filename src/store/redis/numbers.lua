-- Takes sequences that nobody else gets. Arguments: how many, the least, and where they begin in a Redis that has none yet. Answers the first.
go_on_without_room()
local next = tonumber(redis.call('HGET', numbers, 'next') or ARGV[4])
if next < tonumber(ARGV[3]) then next = tonumber(ARGV[3]) end
redis.call('HSET', numbers, 'next', string.format('%.0f', next + tonumber(ARGV[2])))
return string.format('%.0f', next)
