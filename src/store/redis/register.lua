-- A new server, with our number. Arguments: name, version, what tells this Redis from another one, the first number of jobs. Answers
-- whether the number was free.
go_on_without_room()
if redis.call('EXISTS', server(me)) == 1 then return 0 end
enter(me, ARGV[2], ARGV[3])
redis.call('HSETNX', numbers, 'birth', ARGV[4])
redis.call('HSETNX', numbers, 'next', ARGV[5])
return 1
