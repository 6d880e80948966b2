# After "Getting Started" on gearman.org: the lines of /etc/passwd, counted by a worker.
. ./stage.sh
serve
gearman -w -f wc -- wc -l &
wait_for_workers wc 1
gearman -f wc </etc/passwd >answer
wc -l </etc/passwd | diff - answer && echo "As wc alone would have it."
