<?php
$engine = $argv[1];
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction("scan_$engine", function ($job) use ($engine) {
    // Slow is who is not done before the client has heard of the three others.
    while ($engine == "slow" && !file_exists("others-are-done")) {
        usleep(5000);
        clearstatcache();
    }
    return str_contains($job->workload(), "EICAR") ? "infected" : "clean";
});
while ($worker->work());
