# After "Server HA" in the introductions of Gearman (Eric Day and Brian Aker, OSCON 2009): clients and workers list several job servers,
# and persistent queues keep background jobs. Here both servers keep theirs in one PostgreSQL: when one is killed, the other one has its
# jobs as well, and nobody restarts anything.
. ./stage.sh
programs=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
as_postgres() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups -- "$@"; else "$@"; fi
}
chmod 777 .
as_postgres "$programs/initdb" --no-sync --auth=trust -U postgres -D data >initdb.out
as_postgres "$programs/postgres" -D data -k "$PWD" -c listen_addresses= -c fsync=off >postgres.out 2>&1 &
wait_for psql -h "$PWD" -U postgres -c 'SELECT 1'

database="host=$PWD user=postgres dbname=postgres"
gearmand --log-file stderr -p 4370 -q Postgres --libpq-conninfo "$database" --server-name first --take-over-after 4 &
first=$!
gearmand --log-file stderr -p 4371 -q Postgres --libpq-conninfo "$database" --server-name second --take-over-after 4 &
wait_for gearadmin -p 4370 --getpid
wait_for gearadmin -p 4371 --getpid

echo "With two servers:"
php client.php 1 20
perl client.pl 1 20
for number in 1 2 3 4 5; do gearman -p 4370 -b -f upper -u "tool-$number" "tool-$number"; done
kill -9 "$first"
wait_for sh -c '! gearadmin -p 4370 --getpid'
echo "With one:"
php client.php 21 30
perl client.pl 21 30
# Who comes now knows nothing of what was.
php worker.php &
perl worker.pl &
wait_for_lines done.php 35
wait_for_lines done.perl 30
echo "Jobs that were run, and how often:"
cat done.php done.perl | sort | uniq -c | awk '{ jobs++; runs += $1 } END { print jobs, runs }'
wait_for sh -c "psql -h '$PWD' -U postgres -Atc 'SELECT count(*) FROM queue' | grep -x 0"
