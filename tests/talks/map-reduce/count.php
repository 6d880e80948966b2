<?php
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction("count", function ($job) {
    $client = new GearmanClient();
    $client->addServer();
    $partial = [];
    $client->setCompleteCallback(function ($task) use (&$partial) {
        $partial[] = json_decode($task->data(), true);
    });
    foreach (array_chunk(explode("\n", $job->workload()), 250) as $lines) {
        $client->addTask("map", implode("\n", $lines));
    }
    if (!$client->runTasks()) {
        $job->sendFail();
        return;
    }
    return $client->doNormal("reduce", json_encode($partial));
});
while ($worker->work());
