# After "Basic Gearman client and worker, submitting tasks" of the PHP manual
# (php.net/manual/en/gearman.examples-reverse-task.php). Both tasks are queued before the worker comes, so that what is printed
# is the same in each run; and there is a third, which warns and fails.
. ./stage.sh
serve
php client.php >client.out &
client=$!
wait_for_jobs reverse 2
wait_for_jobs uhoh 1
php worker.php >worker.out &
wait "$client"
name_handles <client.out
