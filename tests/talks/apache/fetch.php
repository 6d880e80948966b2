<?php
$answer = @file_get_contents("http://127.0.0.1/" . $argv[1], false, stream_context_create(["http" => ["ignore_errors" => true]]));
if ($answer === false) {
    exit(1);
}
echo $http_response_header[0], "\n";
