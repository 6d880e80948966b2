<?php
// Noise, since nothing makes a larger JPEG of so few pixels.
[$width, $height] = [1600, 1200];
mt_srand(1);
$pixels = "";
while (strlen($pixels) < 3 * $width * $height) {
    $pixels .= pack("V", mt_rand());
}
$image = new Imagick();
$image->readImageBlob("P6 $width $height 255\n" . substr($pixels, 0, 3 * $width * $height));
$image->setImageFormat("jpeg");
$image->setImageCompressionQuality(90);
file_put_contents($argv[1], $image->getImageBlob());
