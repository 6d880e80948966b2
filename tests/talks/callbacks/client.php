<?php
$client = new GearmanClient();
$client->addServer();
$client->setCreatedCallback(function ($task) { echo "CREATED: ", $task->jobHandle(), "\n"; });
$client->setDataCallback(function ($task) { echo "DATA: ", $task->jobHandle(), ", ", $task->data(), "\n"; });
$client->setWarningCallback(function ($task) { echo "WARNING: ", $task->jobHandle(), ", ", $task->data(), "\n"; });
$client->setStatusCallback(function ($task) {
    echo "STATUS: ", $task->jobHandle(), " - ", $task->taskNumerator(), "/", $task->taskDenominator(), "\n";
});
$client->setCompleteCallback(function ($task, $context) {
    echo "COMPLETE: ", $task->jobHandle(), ", ", $task->unique(), ", $context, ", $task->data(), "\n";
});
$client->setFailCallback(function ($task) { echo "FAILED: ", $task->jobHandle(), "\n"; });

$client->addTask("reverse", "foo", "first", "unique-1");
$client->addTaskLow("reverse", "bar", "second", "unique-2");
$client->addTaskLow("uhoh", "baz", "third", "unique-3");
if (!$client->runTasks()) {
    echo "ERROR ", $client->error(), "\n";
    exit(1);
}
echo "DONE\n";
