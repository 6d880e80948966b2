# After the example described as `gearman -w -f test -- grep lib`, with `ls / | gearman -f test`: the command line tool as the talks
# of Eric Day and Brian Aker (OSCON 2009) introduce it, with `ls` in front.
. ./stage.sh
serve
gearman -w -f test -- grep lib &
wait_for_workers test 1
ls / | gearman -f test >answer
ls / | grep lib | diff - answer && echo "As grep alone would have it."
