# After the example described as "a cron run that fans jobs out": a script that cron starts each night submits a job for each of
# 3,000 accounts and ends; each of these jobs submits five from inside.
. ./stage.sh
serve
for worker in 1 2 3; do php account.php & done
for worker in 1 2; do php feed.php "feeds.$worker" & done
wait_for_workers account 3
wait_for_workers feed 2
php nightly.php
wait_for_jobs account 0
echo "The accounts are done."
wait_for_jobs feed 0
cat feeds.* | sort | uniq -c | awk '$1 != 1 { again++ } END { print NR " feeds, fetched more than once: " again + 0 }'
gearadmin --status | sort
