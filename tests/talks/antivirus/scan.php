<?php
$verdicts = [];
$client = new GearmanClient();
$client->addServer();
$client->setCompleteCallback(function ($task, $engine) use (&$verdicts) {
    $verdicts[$engine] = $task->data();
    if (count($verdicts) == 3) {
        touch("others-are-done");
    }
});
foreach (["slow", "alpha", "beta", "gamma"] as $engine) {
    $client->addTask("scan_$engine", file_get_contents($argv[1]), $engine);
}
if (!$client->runTasks()) {
    exit("ERROR " . $client->error() . "\n");
}
$last = array_key_last($verdicts);
ksort($verdicts);
foreach ($verdicts as $engine => $verdict) {
    echo "$argv[1], $engine: $verdict\n";
}
echo "$argv[1], last was: $last\n";
