<?php
$worker = new GearmanWorker();
$worker->addServer();
$file = fopen($argv[1], "a");
$worker->addFunction("feed", function ($job) use ($file) {
    fwrite($file, $job->workload() . "\n");
});
while ($worker->work());
