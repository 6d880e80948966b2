<?php
[, $from, $to] = $argv;
$taken = 0;
for ($number = $from; $number <= $to; $number++) {
    for ($try = 1; $try <= 5; $try++) {
        $client = new GearmanClient();
        // Both, whichever is there. The first to be asked is another one each time.
        $ports = ($number + $try) % 2 ? [4370, 4371] : [4371, 4370];
        foreach ($ports as $port) {
            try {
                $client->addServer("127.0.0.1", $port);
            } catch (GearmanException $exception) {
                // It is added although it is away.
            }
        }
        $client->setTimeout(1000);
        @$client->doBackground("upper", "php-$number", "php-$number");
        if ($client->returnCode() === GEARMAN_SUCCESS) {
            $taken++;
            break;
        }
    }
}
echo "PHP: $taken of ", $to - $from + 1, " taken\n";
