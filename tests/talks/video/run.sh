# After the example described as "video fan-out with a join in the client": a film is cut, its pieces are encoded by whoever is
# free, in all formats at once, and the client joins them.
. ./stage.sh
php make-film.php film
serve
for worker in 1 2 3 4; do php worker.php & done
wait_for_workers encode 4
php client.php film
for format in upper mirror; do php encode.php "$format" film | cmp - "film.$format" && echo "film.$format is whole."; done
cat workers.* | sort | uniq -c |
    awk '{ pieces += $1 } END { print pieces " pieces, encoded by " (NR > 1 ? "several workers" : "one worker alone") }'
