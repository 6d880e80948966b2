# After the Perl example described as "hello and uhoh": a worker that tells how far it is, and one that warns and fails.
# Written with Gearman::Worker and Gearman::Client as their manual pages show them.
. ./stage.sh
serve
perl worker.pl >worker.out &
wait_for_workers uhoh 1
perl client.pl hello World
perl client.pl uhoh World
echo "The worker printed:"
cat worker.out
