<?php
$client = new GearmanClient();
$client->addServer();
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction("account", function ($job) use ($client) {
    foreach (["news", "photos", "friends", "messages", "events"] as $feed) {
        $client->doBackground("feed", $job->workload() . " $feed");
    }
});
while ($worker->work());
