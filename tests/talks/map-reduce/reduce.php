<?php
$worker = new GearmanWorker();
$worker->addServer();
$worker->addFunction("reduce", function ($job) {
    $total = [];
    foreach (json_decode($job->workload(), true) as $counts) {
        foreach ($counts as $word => $count) {
            $total[$word] = ($total[$word] ?? 0) + $count;
        }
    }
    ksort($total);
    $lines = "";
    foreach ($total as $word => $count) {
        $lines .= "$word $count\n";
    }
    return $lines;
});
while ($worker->work());
