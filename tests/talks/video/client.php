<?php
require "encode.php";
$film = $argv[1];
$encoded = [];
$client = new GearmanClient();
$client->addServer();
$client->setCompleteCallback(function ($task, $piece) use (&$encoded) {
    [$format, $number] = explode(" ", $piece);
    $encoded[$format][$number] = $task->data();
});
foreach (["upper", "mirror"] as $format) {
    foreach (str_split(file_get_contents($film), SCENE) as $number => $scene) {
        $client->addTask("encode", "$format:$scene", "$format $number");
    }
}
if (!$client->runTasks()) {
    exit("ERROR " . $client->error() . "\n");
}
foreach ($encoded as $format => $pieces) {
    ksort($pieces);
    file_put_contents("$film.$format", implode($pieces));
}
