# What the examples share; each begins with `. ./stage.sh`. An example has a network and processes of its own: nothing but
# loopback, every port free, all of it gone when its `run.sh` ends. `gearmand` is the server under test.
set -eu

# Waits until a command succeeds.
wait_for() {
    until "$@" >seen 2>&1; do sleep 0.02; done
}

# The server on the port that everybody's clients expect, or with these options; returns when it answers.
serve() {
    gearmand --log-file stderr "$@" &
    wait_for gearadmin --getpid
}

# One number of the status of a function: 2 jobs in all, 3 running, 4 workers.
status_of() {
    gearadmin --status | awk -F '\t' -v name="$1" -v field="$2" '$1 == name { print $field }'
}

# Waits until a function has as many workers, or jobs queued and running.
wait_for_workers() {
    until [ "$(status_of "$1" 4)" = "$2" ]; do sleep 0.02; done
}
wait_for_jobs() {
    until [ "$(status_of "$1" 2)" = "$2" ]; do sleep 0.02; done
}

# Waits until a file has as many lines.
wait_for_lines() {
    until [ -f "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]; do sleep 0.02; done
}

# Job handles differ from run to run: the first that is met is called JOB-1.
name_handles() {
    awk '{
        while (match($0, /H:[^ ,:]*:[0-9]+/)) {
            handle = substr($0, RSTART, RLENGTH)
            if (!(handle in names)) names[handle] = "JOB-" ++count
            $0 = substr($0, 1, RSTART - 1) names[handle] substr($0, RSTART + RLENGTH)
        }
        print
    }'
}
