# After "Gearman: Build Your Own Distributed Platform in 3 Hours" (Eric Day and Brian Aker, OSCON 2009): an image of 3 MB goes
# to a worker, which sends a thumbnail back.
. ./stage.sh
php make-image.php large.jpg
[ "$(wc -c <large.jpg)" -gt 3000000 ] && echo "large.jpg has 3 MB."
serve
php resize.php &
wait_for_workers resize 1
gearman -f resize <large.jpg >thumb.jpg
[ "$(wc -c <thumb.jpg)" -lt 100000 ] && echo "thumb.jpg has not."
php -r '[$width, $height, $type] = getimagesize("thumb.jpg"); echo "$width x $height, ", image_type_to_mime_type($type), "\n";'
