<?php
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction("map", function ($job) {
    return json_encode(array_count_values(preg_split('/\s+/', $job->workload(), -1, PREG_SPLIT_NO_EMPTY)));
});
while ($worker->work());
