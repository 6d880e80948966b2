<?php
$client = new GearmanClient();
$client->addServer();
echo "Sending job\n";

do {
    $result = $client->doNormal("reverse", "Hello!");
    switch ($client->returnCode()) {
        case GEARMAN_WORK_DATA:
            echo "Data: $result\n";
            break;
        case GEARMAN_WORK_STATUS:
            [$numerator, $denominator] = $client->doStatus();
            echo "Status: $numerator/$denominator complete\n";
            break;
        case GEARMAN_WORK_FAIL:
            echo "Failed\n";
            exit(1);
        case GEARMAN_SUCCESS:
            echo "Success: $result\n";
            break;
        default:
            echo "RET: ", $client->returnCode(), "\n";
            exit(1);
    }
} while ($client->returnCode() != GEARMAN_SUCCESS);
