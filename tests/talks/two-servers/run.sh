# After the example described as "two daemons on ports 4370 and 4371, one killed": workers and clients that know both go on
# with the one that is left, in Perl and in PHP.
. ./stage.sh
gearmand --log-file stderr -p 4370 &
first=$!
gearmand --log-file stderr -p 4371 &
wait_for gearadmin -p 4370 --getpid
wait_for gearadmin -p 4371 --getpid
perl worker.pl &
php worker.php &
for port in 4370 4371; do
    for function in reverse upper; do
        wait_for sh -c "gearadmin -p $port --status | grep -P '^$function\t0\t0\t1$'"
    done
done
echo "With two servers:"
perl client.pl
php client.php
# The jobs that wait in the second do not wait for the first.
gearman -p 4371 -b -f upper "in the background"
kill -9 "$first"
wait_for sh -c '! gearadmin -p 4370 --getpid'
echo "With one:"
perl client.pl
php client.php
wait_for sh -c "gearadmin -p 4371 --status | grep -P '^upper\t0\t0\t1$'"
