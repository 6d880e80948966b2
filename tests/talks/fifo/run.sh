# After the example described as "three priorities, first in first out": nine jobs are queued crosswise before a worker comes.
. ./stage.sh
serve
for number in 1 2 3; do
    gearman -b -L -f deliver "low $number
"
    gearman -b -f deliver "normal $number
"
    gearman -b -I -f deliver "high $number
"
done
gearadmin --priority-status
gearman -w -c 9 -f deliver -- tee -a delivered
cat delivered
