<?php
require "encode.php";
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction("encode", function ($job) {
    [$format, $scene] = explode(":", $job->workload(), 2);
    $job->sendStatus(0, 1);
    // Some pieces take longer, so that they do not come back in the order of the film.
    usleep(crc32($scene) % 5000);
    file_put_contents("workers." . getmypid(), getmypid() . "\n", FILE_APPEND);
    $job->sendStatus(1, 1);
    return encode($format, $scene);
});
while ($worker->work());
