<?php
$client = new GearmanClient();
$client->addServer();
for ($account = 1; $account <= 3000; $account++) {
    $client->doBackground("account", "$account");
}
echo "3000 accounts are queued.\n";
