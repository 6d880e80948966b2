# After the set-up described as "Supervisor runs 10 + 5 + 5 workers", as in "Gearman, PHP and Supervisor: Processing Background
# Jobs with Sanity" (masnun.me, 2011) and other tutorials: workers in PHP end after a few jobs, and Supervisor starts them again.
. ./stage.sh
serve
php submit.php
supervisord -n -c supervisord.conf >supervisord.out &
supervisor=$!
for function in mail image report; do wait_for_jobs "$function" 0; done
wait_for_workers mail 10
wait_for_workers image 5
wait_for_workers report 5
for function in mail image report; do
    # A line is the number of a job and the process that did it.
    cut -d ' ' -f 1 "$function.done" | sort -n | uniq -c |
        awk -v name="$function" '$1 != 1 { again++ } END { print name ": " NR " jobs, run more than once: " again + 0 }'
    cut -d ' ' -f 2 "$function.done" | sort | uniq -c |
        awk '{ jobs += $1 } $1 > 5 { long++ } END { print "in " (5 * NR >= jobs ? "enough" : NR) " processes, too long: " long + 0 }'
done
kill "$supervisor"
wait "$supervisor"
wait_for_workers mail 0
echo "Supervisor has ended, and the workers with it."
