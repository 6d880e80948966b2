<?php
$client = new GearmanClient();
$client->addServer();
foreach (["mail" => 100, "image" => 50, "report" => 50] as $function => $jobs) {
    for ($job = 1; $job <= $jobs; $job++) {
        $client->doBackground($function, "$job");
    }
}
