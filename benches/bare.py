#!/usr/bin/env python3
"""What a database is to do alone, without a job server: rows as a job server writes them, 512 inserted by each transaction, which, where
jobs are to be done, also deletes the 512 that the one before has inserted. `benches/stores.sh` gives it to the database's own client.

    benches/bare.py postgres|mariadb|redis accepted|done BATCHES

Prints statements. Rows are made by the database itself where it can, so that no client's work is part of it. For Redis only what gearmand writes
itself; Ringgear keeps three fields more for each job.
"""
import sys

ROWS = 512
COLUMNS = "unique_key, function_name, priority, data, when_to_run, ringgear_number, ringgear_owner"


def postgres(at, done):
    gone = f"SELECT n::bigint * 1024 + 7 FROM generate_series({at - ROWS + 1}, {at}) n"
    delete = f"DELETE FROM queue WHERE ringgear_number = ANY(ARRAY({gone}));" if done else ""
    return f"""BEGIN; {delete}
INSERT INTO queue ({COLUMNS}) SELECT 'unique-' || n, 'load', 1, convert_to(repeat('x', 100), 'UTF8'), 0, n::bigint * 1024 + 7, 1
FROM generate_series({at + 1}, {at + ROWS}) n;
COMMIT;
"""


def mariadb(at, done):
    gone = ", ".join(str(n * 1024 + 7) for n in range(at - ROWS + 1, at + 1))
    delete = f"DELETE FROM gearman_queue WHERE ringgear_number IN ({gone});" if done else ""
    return f"""BEGIN; {delete}
INSERT INTO gearman_queue ({COLUMNS}) SELECT CONCAT('unique-', seq), 'load', 1, REPEAT('x', 100), 0, seq * 1024 + 7, 1
FROM seq_{at + 1}_to_{at + ROWS};
COMMIT;
"""


def redis(at, done):
    def call(*words):
        return f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)

    def key(number):
        return f"_gear_-load-unique-{number}"

    made = (call("HSET", key(number), "priority", "1", "data", "x" * 100) for number in range(at + 1, at + ROWS + 1))
    ended = (call("DEL", key(number)) for number in range(at - ROWS + 1, at + 1) if done and number > 0)
    return "".join(made) + "".join(ended)


batch = {"postgres": postgres, "mariadb": mariadb, "redis": redis}[sys.argv[1]]
done = {"accepted": False, "done": True}[sys.argv[2]]
for number in range(int(sys.argv[3])):
    sys.stdout.write(batch(number * ROWS, done))
