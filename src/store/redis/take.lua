-- Takes over a server. Arguments: which one, and the beat that it must still have. Answers whether it is ours now.
if not passes() then return fenced() end
go_on_without_room()
beat()
local row = redis.call('HMGET', server(ARGV[2]), 'beat', 'taken_by')
if row[1] ~= ARGV[3] or row[2] then return 0 end
redis.call('HSET', server(ARGV[2]), 'taken_by', me, 'state', 2)
return 1
