<?php
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction("mail", function ($job) {
    echo "Sending ", $job->workload(), "\n";
});
for ($job = 0; $job < 6; $job++) {
    $worker->work();
}
