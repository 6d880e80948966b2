# After the example described as "map/reduce with a reducer"; map/reduce is a part of "Gearman: Build Your Own Distributed Platform
# in 3 Hours" (Eric Day and Brian Aker, OSCON 2009). A client asks for one job, whose worker is a client itself: it cuts the
# text, maps the pieces at once, and has a reducer add them up.
. ./stage.sh
serve
php count.php &
for worker in 1 2 3; do php map.php & done
php reduce.php &
wait_for_workers count 1
wait_for_workers map 3
wait_for_workers reduce 1
# A text of many words that is the same on each machine.
seq 1 5000 | awk '{ print "gearman" $1 % 3, "anagram" $1 % 7, "manager" }' >text
gearman -f count <text >counted
tr ' ' '\n' <text | sort | uniq -c | awk '{ print $2, $1 }' | diff - counted && echo "As sort and uniq would have it:"
cat counted
