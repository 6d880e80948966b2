<?php
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction("uhoh", function ($job) {
    $job->sendWarning("this does not look good");
    $job->sendFail();
});
$worker->addFunction("reverse", function ($job) {
    $workload = $job->workload();
    for ($done = 1; $done <= strlen($workload); $done++) {
        $job->sendStatus($done, strlen($workload));
        $job->sendData(substr($workload, $done - 1, 1));
    }
    return strrev($workload);
});
while ($worker->work());
