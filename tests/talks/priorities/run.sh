# After GearmanClient::doHighBackground and its sisters in the PHP manual, and the example described as "priorities": low is
# asked for first and runs last.
. ./stage.sh
serve
php client.php
gearadmin --priority-status
php worker.php
