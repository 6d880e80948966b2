# After "Basic Gearman client and worker, background" of the PHP manual (php.net/manual/en/gearman.examples-reverse-bg.php), which
# asks for the status of a job until it is done; and of a handle that no server has ever heard of.
. ./stage.sh
serve
php client.php
