<?php
$worker = new GearmanWorker();
foreach ([4370, 4371] as $port) {
    try {
        $worker->addServer("127.0.0.1", $port);
    } catch (GearmanException $exception) {
        // It is added although one is away.
    }
}
$worker->addFunction("upper", function ($job) {
    file_put_contents("done.php", $job->workload() . "\n", FILE_APPEND);
    return strtoupper($job->workload());
});
while (true) {
    @$worker->work();
}
