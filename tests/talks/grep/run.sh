# After the example of the command line tool in the talks on Gearman of Eric Day and Brian Aker (OSCON 2009): `ls` into grep
# over the network.
. ./stage.sh
serve
gearman -w -f test -- grep lib &
wait_for_workers test 1
ls / | gearman -f test >answer
ls / | grep lib | diff - answer && echo "As grep alone would have it."
