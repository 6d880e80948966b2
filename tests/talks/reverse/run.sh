# After "Basic usage" of the Gearman chapter of the PHP manual (php.net/manual/en/gearman.examples-reverse.php). In the manual
# the client prints each status as well; the `do` of libgearman 1.1 returns once only, when the job is complete.
. ./stage.sh
serve
php worker.php >worker.out &
wait_for_workers reverse 1
php client.php
echo "The worker printed:"
wait_for_lines worker.out 11
name_handles <worker.out
