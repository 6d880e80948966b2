<?php
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction("reverse", function ($job) use ($worker) {
    $job->sendStatus(3, 6);
    // An answer to this means that the server has heard the status.
    $worker->ping("are you there?");
    echo "half way\n";
    fgets(STDIN);
    return strrev($job->workload());
});
$worker->work();
echo "done\n";
