# After the example described as "a worker with many functions": what it can do is looked at from top to bottom, and in turns
# when the server is started with -R.
. ./stage.sh
for option in "" "-R"; do
    echo "gearmand $option"
    serve $option
    server=$!
    for number in 1 2 3; do
        for function in crop resize watermark; do gearman -b -f "$function" "$function $number"; done
    done
    php worker.php
    kill "$server"
    wait "$server"
done
