<?php
$function = $argv[1];
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction($function, function ($job) use ($function) {
    file_put_contents("$function.done", $job->workload() . " " . getmypid() . "\n", FILE_APPEND);
});
// A fresh process after five jobs: what a long-lived one leaks does not add up.
for ($job = 0; $job < 5; $job++) {
    $worker->work();
}
