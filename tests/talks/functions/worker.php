<?php
$worker = new GearmanWorker();
$worker->addServer();
foreach (["resize", "crop", "watermark"] as $function) {
    $worker->addFunction($function, function ($job) {
        echo $job->workload(), "\n";
    });
}
for ($job = 0; $job < 9; $job++) {
    $worker->work();
}
