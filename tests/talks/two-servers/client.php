<?php
function connect(bool $tell): GearmanClient
{
    $client = new GearmanClient();
    foreach ([4370, 4371] as $port) {
        try {
            $client->addServer("127.0.0.1", $port);
        } catch (GearmanException $exception) {
            // The extension asks all servers so far for an option, and says so of each if one is away. They are added for all that.
            if ($tell) {
                echo "PHP: port $port: ", $exception->getMessage(), "\n";
            }
        }
    }
    // libgearman's client with two servers now and then reads from the one that has nothing to say and waits for it alone,
    // for ever (seen with gearmand, too). So it gives up after a second, and another one asks again.
    $client->setTimeout(1000);
    return $client;
}

$client = connect(true);
$answered = 0;
for ($number = 1; $number <= 30; $number++) {
    for ($try = 1; $try <= 5; $try++) {
        if (@$client->doNormal("upper", "job-$number") === "JOB-$number") {
            $answered++;
            break;
        }
        $client = connect(false);
    }
}
echo "PHP: $answered of 30 answered\n";
