-- A new server, with our number. Arguments: name, version, what tells this Redis from another one, the first number of jobs. Answers
-- whether the number was free.
go_on_without_room()
if redis.call('EXISTS', server(me)) == 1 then return 0 end
redis.call('SADD', servers, me)
redis.call('HSET', server(me), 'name', ARGV[2], 'version', ARGV[3], 'beat', 0, 'state', 0, 'jobs', 0, 'bytes', 0,
    'started', redis.call('TIME')[1])
redis.call('HSETNX', numbers, 'birth', ARGV[4])
redis.call('HSETNX', numbers, 'next', ARGV[5])
return 1
