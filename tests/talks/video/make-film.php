<?php
// Scenes of 64 KiB, since a piece is encoded by itself.
mt_srand(1);
$film = "";
for ($word = 0; $word < 24 * 65536 / 4; $word++) {
    $film .= sprintf("%04x", mt_rand(0, 65535));
}
file_put_contents($argv[1], $film);
