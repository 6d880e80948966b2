<?php
$worker = new GearmanWorker();
$worker->addServers("127.0.0.1:4370,127.0.0.1:4371");
$worker->addFunction("upper", function ($job) {
    file_put_contents("done.php", $job->workload() . "\n", FILE_APPEND);
    return strtoupper($job->workload());
});
while (true) {
    @$worker->work();
}
