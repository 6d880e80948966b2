<?php
$client = new GearmanClient();
$client->addServer();

function status($client, $what, $handle)
{
    [$known, $running, $numerator, $denominator] = $client->jobStatus($handle);
    printf("%s: known %s, running %s, %d/%d\n", $what, json_encode($known), json_encode($running), $numerator, $denominator);
    return $known;
}

status($client, "unknown", "H:nowhere:42");
status($client, "not even a handle", "hello");
$handle = $client->doBackground("reverse", "Hello!");
if ($client->returnCode() != GEARMAN_SUCCESS) {
    exit("bad return code\n");
}
status($client, "queued", $handle);

// The worker tells that it is half way, and goes on when it is asked to.
$worker = proc_open(["php", "worker.php"], [0 => ["pipe", "r"], 1 => ["pipe", "w"]], $pipes);
fgets($pipes[1]);
status($client, "running", $handle);
fwrite($pipes[0], "go on\n");
fgets($pipes[1]);
while ($client->jobStatus($handle)[0]) {
    usleep(10000);
}
status($client, "done", $handle);
