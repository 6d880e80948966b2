<?php
$client = new GearmanClient();
$client->addServer();
$client->doLowBackground("mail", "the newsletter");
$client->doBackground("mail", "a reminder");
$client->doHighBackground("mail", "a new password");
$client->addTaskLowBackground("mail", "the survey");
$client->addTaskBackground("mail", "a receipt");
$client->addTaskHighBackground("mail", "an alarm");
if (!$client->runTasks()) {
    echo "ERROR ", $client->error(), "\n";
}
