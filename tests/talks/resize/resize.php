<?php
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction("resize", "make_thumbnail");
while ($worker->work());

function make_thumbnail($job)
{
    $image = new Imagick();
    $image->readImageBlob($job->workload());
    $image->scaleImage(200, 150);
    return $image->getImageBlob();
}
