<?php
// PHP's extension as its users use it: `php-gearman.php PORT_A PORT_B`. Workers are child processes. README.md in the folder
// above says what is reported, and how.
declare(strict_types=1);

error_reporting(E_ALL);
ini_set('display_errors', 'stderr');
ini_set('memory_limit', '512M');

const HOST = '127.0.0.1';
// How long anything may take that is to happen, in seconds.
const PATIENCE = 20;
const LARGE = 3 * 1024 * 1024;
const PREFIX = 'php-gearman-';

[$_, $portA, $portB] = array_map('intval', $argv);

// Functions write to the journal what they were given, a line each, and read a byte from the gate where they wait. The
// doom has a byte for each life that a job has left to take.
[$journal, $toJournal] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
[$gate, $toGate] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
[$doom, $toDoom] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
stream_set_blocking($doom, false);
stream_set_timeout($journal, PATIENCE);
stream_set_timeout($gate, 3 * PATIENCE);
$workers = [];

function isDoomed(): bool
{
    global $doom;
    return (string) fread($doom, 1) !== '';
}

function leave(): never
{
    posix_kill(posix_getpid(), SIGKILL);
    exit;
}

$functions = [
    'echo' => fn (GearmanJob $job) => $job->workload(),
    'reverse' => fn (GearmanJob $job) => strrev($job->workload()),
    'note' => function (GearmanJob $job) use ($toJournal) {
        fwrite($toJournal, $job->workload() . "\n");
    },
    'slow' => function (GearmanJob $job) use ($gate) {
        $job->sendStatus(1, 4);
        fread($gate, 1);
        return 'late';
    },
    'talk' => function (GearmanJob $job) {
        $job->sendStatus(1, 2);
        $job->sendData('some data');
        $job->sendWarning('a warning');
        $job->sendData('more data');
        $job->sendStatus(2, 2);
        return 'the end';
    },
    'throw' => function (GearmanJob $job) {
        $job->sendException('what happened');
    },
    'uncaught' => function (GearmanJob $job) {
        throw new RuntimeException('nobody catches this');
    },
    'fail' => function (GearmanJob $job) {
        $job->sendFail();
    },
    'fails-by-return' => function (GearmanJob $job) {
        $job->setReturn(GEARMAN_WORK_FAIL);
    },
    'mortal' => fn (GearmanJob $job) => isDoomed() ? leave() : 'survived',
    'tardy' => fn (GearmanJob $job) => (isDoomed() && sleep(60)) ? '' : 'in time',
    'facts' => fn (GearmanJob $job) => implode(' ', [$job->functionName(), $job->unique(), $job->workloadSize(), $job->handle()]),
];

// A process that runs until it is ended.
function fork(callable $body): int
{
    global $workers;
    $pid = pcntl_fork();
    if ($pid < 0) {
        throw new RuntimeException('fork');
    }
    if ($pid > 0) {
        return $workers[$pid] = $pid;
    }
    try {
        $body();
    } catch (Throwable $error) {
        fwrite(STDERR, "worker: $error\n");
    }
    leave();
}

function newWorker(array $ports, array $names, int $timeout = 0): GearmanWorker
{
    global $functions;
    $worker = new GearmanWorker();
    foreach ($ports as $port) {
        $worker->addServer(HOST, $port);
    }
    foreach ($names as $name) {
        $worker->addFunction(PREFIX . $name, $functions[$name], null, $timeout);
    }
    return $worker;
}

// A worker with these functions, which blocks until there is a job.
function startWorker(array $ports, array $names, int $timeout = 0): int
{
    return fork(function () use ($ports, $names, $timeout) {
        $worker = newWorker($ports, $names, $timeout);
        while (true) {
            @$worker->work();
            if (!in_array($worker->returnCode(), [GEARMAN_SUCCESS, GEARMAN_WORK_FAIL], true)) {
                usleep(20000);
            }
        }
    });
}

// As GearmanManager does it: never blocks in work(), and waits up to a time where there is nothing.
function startPatientWorker(array $ports, array $names): int
{
    return fork(function () use ($ports, $names) {
        $worker = newWorker($ports, $names);
        $worker->addOptions(GEARMAN_WORKER_NON_BLOCKING);
        $worker->setTimeout(50);
        while (true) {
            if (@$worker->work() || $worker->returnCode() == GEARMAN_IO_WAIT || $worker->returnCode() == GEARMAN_NO_JOBS) {
                if ($worker->returnCode() == GEARMAN_SUCCESS) {
                    continue;
                }
                if (!@$worker->wait() && $worker->returnCode() == GEARMAN_NO_ACTIVE_FDS) {
                    usleep(50000);
                }
            }
        }
    });
}

function endWorkers(int ...$pids): void
{
    global $workers;
    foreach ($pids as $pid) {
        posix_kill($pid, SIGKILL);
        pcntl_waitpid($pid, $status);
        unset($workers[$pid]);
    }
}

function newClient(int ...$ports): GearmanClient
{
    global $portA;
    $client = new GearmanClient();
    foreach ($ports ?: [$portA] as $port) {
        try {
            $client->addServer(HOST, $port);
        } catch (GearmanException $error) {
            // It asks the server for exceptions at once, and complains if that is down.
        }
    }
    $client->setTimeout(PATIENCE * 1000);
    return $client;
}

function must(bool $condition, string $what = ''): void
{
    if (!$condition) {
        throw new RuntimeException($what !== '' ? $what : 'not as it should be');
    }
}

function is(mixed $got, mixed $wanted): void
{
    $show = function (mixed $value) {
        return is_string($value) && strlen($value) > 200 ? strlen($value) . ' bytes' : var_export($value, true);
    };
    must($got === $wanted, $show($got) . ' instead of ' . $show($wanted));
}

function noted(): string
{
    global $journal;
    return rtrim((string) fgets($journal), "\n");
}

function becomes(callable $condition): bool
{
    $end = microtime(true) + PATIENCE;
    while (microtime(true) < $end) {
        if ($condition()) {
            return true;
        }
        usleep(5000);
    }
    return false;
}

function does(GearmanClient $client, string $name, string $workload): mixed
{
    $result = @$client->doNormal(PREFIX . $name, $workload);
    return $client->returnCode() === GEARMAN_SUCCESS ? $result : null;
}

// A new client for each attempt. In libgearman, one whose call has failed keeps the task, and may wait for it when the
// next one is done; and one of two servers reads at times from the other than the one that answers.
function again(string $text, int ...$ports): bool
{
    return becomes(function () use ($text, $ports) {
        $client = newClient(...$ports);
        $client->setTimeout(1000);
        return does($client, 'reverse', $text) === strrev($text);
    });
}

function please(string $what): void
{
    echo "please $what\n";
    must(fgets(STDIN) === "done\n", "please $what");
}

// Waits until the only worker has done all that was there: one that is ended before it has sent its result leaves the
// job to the next.
function settle(): void
{
    is(newClient()->doLow(PREFIX . 'echo', 'done?'), 'done?');
}

// Runs a task with all callbacks, and gives back what they have seen.
function watch(string $name, string $add = 'addTask'): array
{
    $seen = ['order' => ''];
    $save = function (string $event) use (&$seen) {
        return function (GearmanTask $task, mixed $context = null) use ($event, &$seen) {
            $seen['order'] .= "$event ";
            $seen[$event] = ($seen[$event] ?? '') . $task->data();
            $seen['status-now'] = $task->taskNumerator() . '/' . $task->taskDenominator();
            $seen['handle'] = $task->jobHandle();
            $seen['unique'] = $task->unique();
            $seen['function'] = $task->functionName();
            return GEARMAN_SUCCESS;
        };
    };
    $client = newClient();
    foreach (['created', 'data', 'warning', 'status', 'complete', 'exception', 'fail'] as $event) {
        $client->{'set' . ucfirst($event) . 'Callback'}($save($event));
    }
    $client->$add(PREFIX . $name, 'x', 'the context', "php-unique-$name");
    $seen['run'] = @$client->runTasks();
    return $seen;
}

$talk = [];

// The cases before there is a worker; what became of each is reported in its turn.
$before = [
    'priorities' => function () use ($portA) {
        $client = newClient();
        foreach (['doLowBackground' => 'low', 'doBackground' => 'normal', 'doHighBackground' => 'high'] as $do => $name) {
            $client->$do(PREFIX . 'note', "$name 1");
            $client->$do(PREFIX . 'note', "$name 2");
        }
        $worker = startWorker([$portA], ['note', 'echo']);
        $order = array_map(fn () => noted(), range(1, 6));
        settle();
        endWorkers($worker);
        is($order, ['high 1', 'high 2', 'normal 1', 'normal 2', 'low 1', 'low 2']);
    },
    'unique' => function () use ($portA) {
        $client = newClient();
        $first = $client->doBackground(PREFIX . 'note', 'one run', 'the same');
        $second = $client->doBackground(PREFIX . 'note', 'another', 'the same');
        $third = $client->doBackground(PREFIX . 'note', 'the last', 'different');
        is($second, $first);
        must($third !== $first);
        $worker = startWorker([$portA], ['note', 'echo']);
        $order = [noted(), noted()];
        settle();
        endWorkers($worker);
        is($order, ['one run', 'the last']);
    },
];

$cases = [
    'foreground' => function () {
        is(does(newClient(), 'reverse', 'hello'), 'olleh');
    },
    'background' => function () {
        $client = newClient();
        $handle = $client->doBackground(PREFIX . 'note', 'in the background');
        is($client->returnCode(), GEARMAN_SUCCESS);
        must(str_starts_with($handle, 'H:'), $handle);
        is(noted(), 'in the background');
        must(becomes(fn () => $client->jobStatus($handle) === [false, false, 0, 0]));
    },
    'high' => function () {
        is(newClient()->doHigh(PREFIX . 'reverse', 'hello'), 'olleh');
    },
    'low' => function () {
        is(newClient()->doLow(PREFIX . 'reverse', 'hello'), 'olleh');
    },
    'priorities' => null,
    'status-running' => function () use ($toGate) {
        $client = newClient();
        $handle = $client->doBackground(PREFIX . 'slow', 'x');
        must(becomes(fn () => $client->jobStatus($handle) === [true, true, 1, 4]));
        fwrite($toGate, 'x');
        must(becomes(fn () => $client->jobStatus($handle) === [false, false, 0, 0]));
    },
    'status-known' => function () {
        $client = newClient();
        is($client->jobStatus($client->doBackground(PREFIX . 'nobody', 'x')), [true, false, 0, 0]);
    },
    'status-unknown' => function () {
        is(newClient()->jobStatus('H:nowhere:12345'), [false, false, 0, 0]);
    },
    'progress' => function () use (&$talk) {
        $talk = watch('talk');
        is($talk['run'], true);
        is($talk['status-now'], '2/2');
    },
    'data' => function () use (&$talk) {
        is($talk['data'], 'some datamore data');
    },
    'warning' => function () use (&$talk) {
        is($talk['warning'], 'a warning');
    },
    'all-callbacks' => function () use (&$talk) {
        is($talk['order'], 'created status data warning data status complete ');
        is($talk['complete'], 'the end');
        is($talk['unique'], 'php-unique-talk');
        is($talk['function'], PREFIX . 'talk');
        must(str_starts_with($talk['handle'], 'H:'), $talk['handle']);
    },
    'exception' => function () {
        $seen = watch('throw');
        is($seen['exception'] ?? null, 'what happened');
    },
    'uncaught-exception' => function () use ($portA) {
        // Ends its worker, and the next, and so for ever: nobody answers the client.
        $worker = startWorker([$portA], ['uncaught']);
        $client = newClient();
        $handle = $client->doBackground(PREFIX . 'uncaught', 'x');
        must(becomes(fn () => pcntl_waitpid($worker, $status, WNOHANG) === $worker
            || $client->jobStatus($handle)[0] === false), 'neither the worker nor the job ends');
        endWorkers($worker);
    },
    'fail' => function () {
        is(watch('fail')['order'], 'created fail ');
        $client = newClient();
        is(does($client, 'fail', 'x'), null);
        is($client->returnCode(), GEARMAN_WORK_FAIL);
        is(does($client, 'fails-by-return', 'x'), null);
    },
    'unique' => null,
    'binary' => function () {
        $bytes = implode('', array_map('chr', range(0, 255)));
        is(does(newClient(), 'echo', $bytes), $bytes);
    },
    'empty' => 'absent the library refuses an empty workload; see empty-result',
    'empty-result' => function () use ($portA) {
        $client = newClient();
        is((string) $client->doNormal(PREFIX . 'note', 'nothing comes back'), '');
        is($client->returnCode(), GEARMAN_SUCCESS);
        is(noted(), 'nothing comes back');
    },
    'large' => function () {
        mt_srand(1);
        $bytes = '';
        while (strlen($bytes) < LARGE) {
            $bytes .= pack('N', mt_rand());
        }
        is(does(newClient(), 'echo', $bytes), $bytes);
    },
    'dying-worker' => function () use ($portA, $toDoom) {
        fwrite($toDoom, 'x');
        $pids = [startWorker([$portA], ['mortal']), startWorker([$portA], ['mortal'])];
        $result = does(newClient(), 'mortal', 'x');
        endWorkers(...$pids);
        is($result, 'survived');
        must(!isDoomed());
    },
    'several-functions' => function () use ($portA) {
        $pid = startWorker([$portA], ['echo', 'reverse', 'note']);
        $client = newClient();
        is(does($client, 'echo', 'abc'), 'abc');
        is(does($client, 'reverse', 'abc'), 'cba');
        does($client, 'note', 'abc');
        is(noted(), 'abc');
        endWorkers($pid);
    },
    // The worker's, for which another gets the job, and the client's.
    'timeout' => function () use ($portA, $toDoom) {
        fwrite($toDoom, 'x');
        $pids = [startWorker([$portA], ['tardy'], 1000), startWorker([$portA], ['tardy'], 1000)];
        $result = does(newClient(), 'tardy', 'x');
        endWorkers(...$pids);
        is($result, 'in time');
        must(!isDoomed());
        $hasty = newClient();
        $hasty->setTimeout(100);
        is(does($hasty, 'nobody', 'x'), null);
        is($hasty->returnCode(), GEARMAN_TIMEOUT);
    },
    'echo' => function () use ($portA) {
        must(newClient()->ping('are you there'));
        $worker = newWorker([$portA], []);
        must($worker->ping('and you'));
    },
    'admin' => 'absent the library has no such calls',
    'restart' => function () {
        $client = newClient();
        is(does($client, 'reverse', 'before'), 'erofeb');
        please('kill A');
        is(does($client, 'reverse', 'without'), null);
        please('start A');
        must(again('after'));
    },
    'two-servers' => function () use ($portA, $portB) {
        $pid = startWorker([$portA, $portB], ['reverse']);
        $well = again('before', $portA, $portB);
        please('kill A');
        $well = $well && again('after', $portA, $portB) && again('and on', $portA, $portB);
        endWorkers($pid);
        please('start A');
        must($well);
    },

    // What this library has beside them.
    'server-down' => function () use ($portA, $portB) {
        // addServer asks each server for exceptions, at once.
        please('kill B');
        $pid = startWorker([$portA], ['reverse']);
        $client = new GearmanClient();
        $refused = false;
        foreach ([$portB, $portA] as $port) {
            try {
                $client->addServer(HOST, $port);
            } catch (GearmanException $error) {
                $refused = true;
            }
        }
        $result = does($client, 'reverse', 'still');
        $quiet = new GearmanClient();
        $quiet->addServer(HOST, $portB, false);
        please('start B');
        endWorkers($pid);
        is($result, 'llits');
        must($refused, 'no exception');
    },
    'non-blocking-worker' => function () use ($portA) {
        $pid = startPatientWorker([$portA], ['reverse', 'talk']);
        foreach (range(1, 3) as $i) {
            is(does(newClient(), 'reverse', "hello $i"), strrev("hello $i"));
            // Longer than the worker waits.
            usleep(120000);
        }
        is(watch('talk')['order'], 'created status data warning data status complete ');
        endWorkers($pid);
    },
    'worker-timeout' => function () use ($portA) {
        $worker = newWorker([$portA], ['echo']);
        $worker->setTimeout(50);
        is(@$worker->work(), false);
        is($worker->returnCode(), GEARMAN_TIMEOUT);
    },
    'do-loop' => function () use ($portA) {
        // The loop of the manual.
        $pid = startWorker([$portA], ['talk']);
        $client = newClient();
        $seen = [];
        do {
            $result = $client->doNormal(PREFIX . 'talk', 'x');
            $seen[] = match ($client->returnCode()) {
                GEARMAN_WORK_DATA => "data $result",
                GEARMAN_WORK_STATUS => 'status ' . implode('/', $client->doStatus()),
                GEARMAN_WORK_WARNING => "warning $result",
                GEARMAN_SUCCESS => "success $result",
                default => 'code ' . $client->returnCode(),
            };
        } while (!in_array($client->returnCode(), [GEARMAN_SUCCESS, GEARMAN_WORK_FAIL, GEARMAN_TIMEOUT], true));
        endWorkers($pid);
        // All data, and the result after it.
        is(end($seen), 'success some datamore datathe end');
    },
    'task-set' => function () use ($portA) {
        $pids = [startWorker([$portA], ['reverse', 'fail']), startWorker([$portA], ['reverse', 'fail'])];
        $client = newClient();
        $results = [];
        $failed = 0;
        $client->setCompleteCallback(function (GearmanTask $task, $context) use (&$results) {
            $results[$context] = $task->data();
        });
        $client->setFailCallback(function (GearmanTask $task) use (&$failed) {
            $failed++;
        });
        foreach (range(1, 20) as $i) {
            $add = ['addTask', 'addTaskHigh', 'addTaskLow'][$i % 3];
            $client->$add(PREFIX . 'reverse', "task-$i", "context-$i");
        }
        must($client->runTasks());
        foreach (range(1, 20) as $i) {
            is($results["context-$i"] ?? null, strrev("task-$i"));
        }
        // One that fails among them stops runTasks.
        $client->addTask(PREFIX . 'fail', 'x');
        @$client->runTasks();
        is($failed, 1);
        endWorkers(...$pids);
    },
    'background-tasks' => function () use ($portA) {
        $client = newClient();
        $handles = [];
        $client->setCreatedCallback(function (GearmanTask $task) use (&$handles) {
            $handles[] = $task->jobHandle();
        });
        foreach (['addTaskLowBackground' => 'low', 'addTaskBackground' => 'normal', 'addTaskHighBackground' => 'high'] as $add => $name) {
            $client->$add(PREFIX . 'note', $name);
        }
        must($client->runTasks());
        is(count(array_unique($handles)), 3);
        $pid = startWorker([$portA], ['note', 'echo']);
        $order = [noted(), noted(), noted()];
        settle();
        endWorkers($pid);
        is($order, ['high', 'normal', 'low']);
    },
    'status-tasks' => function () {
        $client = newClient();
        $known = $client->doBackground(PREFIX . 'nobody', 'x');
        $seen = [];
        $status = newClient();
        $status->setStatusCallback(function (GearmanTask $task, $context) use (&$seen) {
            $seen[$context] = [$task->isKnown(), $task->isRunning()];
        });
        // One at a time: given two, the extension mixes them up.
        foreach (['known' => $known, 'unknown' => 'H:nowhere:12345'] as $context => $handle) {
            $status->addTaskStatus($handle, $context);
            must($status->runTasks());
        }
        is($seen, ['known' => [true, false], 'unknown' => [false, false]]);
    },
    'status-by-unique' => function () {
        $client = newClient();
        $client->doBackground(PREFIX . 'nobody', 'x', 'known by this');
        is($client->jobStatusByUniqueKey('known by this'), [true, false, 0, 0]);
        is($client->jobStatusByUniqueKey('nobody knows')[0], false);
    },
    'job' => function () use ($portA) {
        $pid = startWorker([$portA], ['facts']);
        $client = newClient();
        $facts = explode(' ', $client->doNormal(PREFIX . 'facts', 'seven..', 'the-unique'));
        endWorkers($pid);
        is(array_slice($facts, 0, 3), [PREFIX . 'facts', 'the-unique', '7']);
        must(str_starts_with($facts[3], 'H:'), $facts[3]);
    },
    'grab-job' => function () use ($portA) {
        $handle = newClient()->doBackground(PREFIX . 'grab', 'take me');
        $worker = new GearmanWorker();
        $worker->addServer(HOST, $portA);
        must($worker->setId('php-worker'));
        must($worker->register(PREFIX . 'grab'));
        $job = $worker->grabJob();
        is([$job->handle(), $job->workload()], [$handle, 'take me']);
        must($job->sendComplete('taken'));
        unset($job);
        must($worker->register(PREFIX . 'more'));
        must($worker->unregister(PREFIX . 'grab'));
        must($worker->unregisterAll());
        must(becomes(fn () => newClient()->jobStatus($handle)[0] === false));
    },
];

// What is wrong with a case; '' if nothing is.
function attempt(callable $case): string
{
    try {
        $case();
        return '';
    } catch (Throwable $error) {
        $trace = array_filter(array_column($error->getTrace(), 'line'));
        $line = $error->getFile() === __FILE__ && $trace ? end($trace) : $error->getLine();
        foreach ($error->getTrace() as $frame) {
            if (in_array($frame['function'], ['is', 'must'], true)) {
                $line = $frame['line'];
            }
        }
        return preg_replace('/\s+/', ' ', "line $line: " . $error->getMessage());
    }
}

echo 'version PHP extension gearman ', phpversion('gearman'), ', libgearman ', gearman_version(), "\n";
$became = array_map('attempt', $before);
$all = ['echo', 'reverse', 'note', 'slow', 'talk', 'throw', 'fail', 'fails-by-return'];
$main = startWorker([$portA], $all);
foreach ($cases as $name => $case) {
    // These have workers of their own. The one for all is to be there again for the restart.
    if (in_array($name, ['several-functions', 'two-servers'], true)) {
        endWorkers($main);
    }
    if ($name === 'restart') {
        $main = startWorker([$portA], $all);
    }
    if (is_string($case)) {
        echo "case $name $case\n";
        continue;
    }
    $why = $case ? attempt($case) : $became[$name];
    echo $why === '' ? "case $name ok\n" : "case $name failed $why\n";
}
endWorkers(...array_values($workers));
