<?php
$client = new GearmanClient();
$client->addServer();
foreach (["mail", "image", "report"] as $function) {
    for ($job = 1; $job <= 100; $job++) {
        $client->doBackground($function, "$job");
    }
}
