<?php
// Encodes a film without Gearman, or is the encoder of a worker.
const SCENE = 65536;

function encode($format, $scene)
{
    return $format == "upper" ? strtoupper($scene) : strrev($scene);
}

if (realpath($argv[0]) == __FILE__) {
    foreach (str_split(file_get_contents($argv[2]), SCENE) as $scene) {
        echo encode($argv[1], $scene);
    }
}
