<?php
$client = new GearmanClient();
foreach ([4370, 4371] as $port) {
    try {
        $client->addServer("127.0.0.1", $port);
    } catch (GearmanException $exception) {
        // The extension asks all servers so far for an option, and says so of each if one is away. They are added for all that.
        echo "PHP: port $port: ", $exception->getMessage(), "\n";
    }
}
$answered = 0;
for ($number = 1; $number <= 30; $number++) {
    if (@$client->doNormal("upper", "job-$number") === "JOB-$number") {
        $answered++;
    }
}
echo "PHP: $answered of 30 answered\n";
