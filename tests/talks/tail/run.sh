# After the example described as `tail -f log | gearman -n -f logger`: every line of a growing log is a job. Log analysis is a
# part of the talks of Eric Day and Brian Aker (OSCON 2009).
. ./stage.sh
serve
gearman -w -f logger -- tee -a collected &
wait_for_workers logger 1
echo "line 1" >log
tail -n +1 -f log | gearman -n -f logger >echoed &
wait_for_lines collected 1
for number in $(seq 2 40); do echo "line $number" >>log; done
wait_for_lines collected 40
echo "line 41, later" >>log
wait_for_lines collected 41
diff log collected && echo "The worker has seen the log, in its order."
wait_for_lines echoed 41
diff log echoed && echo "The client has got each line back."
