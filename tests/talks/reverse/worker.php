<?php
echo "Starting\n";
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction("reverse", "reverse");
echo "Waiting for job...\n";
while ($worker->work()) {
    if ($worker->returnCode() != GEARMAN_SUCCESS) {
        echo "return_code: ", $worker->returnCode(), "\n";
        break;
    }
}

function reverse($job)
{
    $workload = $job->workload();
    echo "Received job: ", $job->handle(), "\n";
    echo "Workload: $workload\n";
    $size = $job->workloadSize();
    for ($done = 1; $done <= $size; $done++) {
        echo "Sending status: $done/$size complete\n";
        $job->sendStatus($done, $size);
    }
    $result = strrev($workload);
    echo "Result: $result\n";
    return $result;
}
