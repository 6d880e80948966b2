# After the example described as Apache's `CustomLog "|gearman -n -f logger"`: every request of a web server is a job. Log
# analysis is a part of the talks of Eric Day and Brian Aker (OSCON 2009). With Debian's Apache, on port 80 of a network of its own;
# since version 2.4 it needs a `$` to look for the program as a shell does.
. ./stage.sh
serve
gearman -w -f logger -- tee -a collected &
wait_for_workers logger 1
mkdir htdocs
echo "It works." >htdocs/index.html
sed "s|FOLDER|$PWD|" httpd.conf.in >httpd.conf
apache2 -f "$PWD/httpd.conf" -DFOREGROUND >echoed &
wait_for php fetch.php index.html
wait_for_lines collected 1
echo "A request alone is logged at once:"
php fetch.php index.html
wait_for_lines collected 2
cat collected
echo "And twenty more:"
for number in $(seq 20); do php fetch.php "page-$number"; done | sort | uniq -c | sed 's/^ *//'
wait_for_lines collected 22
tail -n 20 collected | sort -t - -k 4n
