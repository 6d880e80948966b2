<?php
$worker = new GearmanWorker();
$worker->addServers("127.0.0.1:4370,127.0.0.1:4371");
$worker->addFunction("upper", function ($job) {
    return strtoupper($job->workload());
});
// Without the server that was killed, `work` also returns when only the other has answered.
while (true) {
    @$worker->work();
}
