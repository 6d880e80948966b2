#!/usr/bin/perl
# Gearman::Client and Gearman::Worker as their users use them: `Gearman-Client.pl PORT_A PORT_B`. Workers are child
# processes. README.md in the folder above says what is reported, and how.
use strict;
use warnings;
use Gearman::Client;
use Gearman::Task;
use Gearman::Worker;
use POSIX ();
use Storable ();
use Time::HiRes qw(sleep time);

# How long anything may take that is to happen, in seconds.
use constant PATIENCE => 20;
use constant LARGE    => 3 * 1024 * 1024;

my ($a, $b) = map { "127.0.0.1:$_" } @ARGV;
$| = 1;
local $SIG{PIPE} = 'IGNORE';

# Functions write to the journal what they were given, a line each, and read a byte from the gate where they wait.
pipe my $journal, my $to_journal or die;
pipe my $gate,    my $to_gate    or die;

# A byte for each life that a job of `mortal` or `tardy` has left to take.
pipe my $doom, my $to_doom or die;
$doom->blocking(0);

sub note {
    syswrite $to_journal, "$_[0]\n";
    return 'noted';
}

sub is_doomed { sysread $doom, my $byte, 1 }

my %functions = (
    echo    => sub { $_[0]->arg },
    reverse => sub { scalar reverse $_[0]->arg },
    note    => sub { note($_[0]->arg) },
    slow    => sub { $_[0]->set_status(1, 4); sysread $gate, my $byte, 1; 'late' },
    fail    => sub { undef },
    die     => sub { die "what happened\n" },
    mortal  => sub { POSIX::_exit(1) if is_doomed(); 'survived' },
    tardy   => sub { sleep 60        if is_doomed(); 'in time' },
);

# Functions that need their worker, too.
sub talk {
    my ($worker, $job) = @_;
    $job->set_status(1, 2);
    $worker->send_work_data($job, 'some data');
    $worker->send_work_warning($job, 'a warning');
    $worker->send_work_data($job, 'more data');
    $job->set_status(2, 2);
    return 'the end';
}

sub throw {
    my ($worker, $job) = @_;
    $worker->send_work_exception($job, 'thrown');
    return;
}

my %workers;

# A worker with these functions at these servers, in a process of its own. With a time-out, if one is given.
sub start_worker {
    my ($servers, $names, %options) = @_;
    my $pid = fork // die "fork: $!";
    if ($pid) {
        $workers{$pid} = 1;
        return $pid;
    }
    open STDOUT, '>&', \*STDERR;
    eval { work($servers, $names, %options); 1 } or warn $@;
    POSIX::_exit(0);
}

sub work {
    my ($servers, $names, %options) = @_;
    my $worker = Gearman::Worker->new(job_servers => $servers, client_id => "perl-$$", %{$options{worker} || {}});
    for my $name (@$names) {
        my $function
            = $name eq 'talk'  ? sub { talk($worker, @_) }
            : $name eq 'throw' ? sub { throw($worker, @_) }
            :                    $functions{$name};
        my @timeout = $options{timeout} ? $options{timeout} : ();
        $worker->register_function("Gearman-Client-$name", @timeout, $function);
    }
    my @stop = $options{stop_if} ? (stop_if => $options{stop_if}) : ();
    $worker->work(@stop);
}

# Ends workers; they may have ended by themselves.
sub end_workers {
    for my $pid (@_) {
        kill KILL => $pid;
        waitpid $pid, 0;
        delete $workers{$pid};
    }
}
END { kill KILL => keys %workers if %workers }

sub client { Gearman::Client->new(job_servers => [@_ ? @_ : $a], exceptions => 0) }

# Fails the case.
sub must {
    my ($condition, $what) = @_;
    die((defined $what ? "$what\n" : sprintf "line %d\n", (caller)[2])) unless $condition;
}

sub is {
    my ($got, $wanted, $what) = @_;
    $got = '(nothing)' unless defined $got;
    return if $got eq $wanted;
    my $show = sub { length $_[0] > 100 ? length($_[0]) . ' bytes' : $_[0] =~ s/[^ -~]/?/gr };
    die sprintf "line %d: %s%s instead of %s\n", (caller)[2], $what ? "$what: " : '', $show->($got), $show->($wanted);
}

# The next line of the journal.
sub noted {
    my $line = '';
    my $end  = time + PATIENCE;
    while ($line !~ /\n/ && time < $end) {
        vec(my $wanted = '', fileno $journal, 1) = 1;
        sysread $journal, $line, 1, length $line if select $wanted, undef, undef, 1;
    }
    chomp $line;
    return $line;
}

sub wait_until {
    my ($condition) = @_;
    my $end = time + PATIENCE;
    while (time < $end) {
        return 1 if $condition->();
        sleep 0.01;
    }
    return 0;
}

# The result of a job, or undef if it failed.
sub does {
    my ($client, $name, $workload, %options) = @_;
    my $result = $client->do_task("Gearman-Client-$name", $workload, {%options, timeout => PATIENCE});
    return $result ? $$result : undef;
}

# A client that meets a broken connection dies, and makes a new one the next time.
sub again {
    my ($client, $text) = @_;
    return wait_until(sub { (eval { does($client, 'reverse', $text) } // '') eq reverse $text });
}

sub please {
    print "please $_[0]\n";
    my $answer = <STDIN>;
    must($answer && $answer eq "done\n", "please $_[0]");
}

# Waits until the only worker has done all that was there: one that is ended before it has sent its result leaves the
# job to the next.
sub settle { is(does(client(), 'echo', 'done?', priority => 'low'), 'done?') }

# Runs one task in a set, and gives back what its callbacks have seen.
sub watch {
    my ($client, $name, %options) = @_;
    my %seen = (order => '');
    my $save = sub {
        my ($event) = @_;
        return sub {
            $seen{order} .= "$event ";
            my $said = ref $_[0] ? ${$_[0]} : join '/', map { $_ // '' } @_;
            $seen{$event} .= $said;
        };
    };
    my $set = $client->new_task_set;
    $set->add_task("Gearman-Client-$name", 'x',
        {%options, map { ("on_$_" => $save->($_)) } qw(complete data exception fail retry status warning)});
    $set->wait(timeout => PATIENCE);
    return %seen;
}

my %talk;

# The cases before there is a worker; what became of each is reported in its turn.
my @before = (
    priorities => sub {
        my $client = client();
        for my $priority (qw(low normal high)) {
            $client->dispatch_background('Gearman-Client-note', "$priority $_", {priority => $priority}) for 1 .. 2;
        }
        my $worker = start_worker([$a], [qw(note echo)]);
        is(join(',', map { noted() } 1 .. 6), 'high 1,high 2,normal 1,normal 2,low 1,low 2');
        settle();
        end_workers($worker);
    },
    unique => sub {
        my $client = client();
        my @handles = map { $client->dispatch_background('Gearman-Client-note', $_->[0], {uniq => $_->[1]}) }
            ['one run', 'the same'], ['another', 'the same'], ['the last', 'different'];
        is($handles[1], $handles[0]);
        # The arguments themselves are the unique.
        my @merged = map { $client->dispatch_background('Gearman-Client-note', 'merged', {uniq => '-'}) } 1 .. 2;
        is($merged[1], $merged[0]);
        my $worker = start_worker([$a], [qw(note echo)]);
        is(join(',', map { noted() } 1 .. 3), 'one run,the last,merged');
        settle();
        end_workers($worker);
    },
);

my @cases = (
    foreground => sub { is(does(client(), 'reverse', 'hello'), 'olleh') },
    background => sub {
        my $client = client();
        my $handle = $client->dispatch_background('Gearman-Client-note', 'in the background');
        must($handle =~ m{^127\.0\.0\.1:\d+//H:}, 'handle ' . ($handle // '(none)'));
        is(noted(), 'in the background');
        must(wait_until(sub { !$client->get_status($handle)->known }));
    },
    high             => sub { is(does(client(), 'reverse', 'hello', priority => 'high'), 'olleh') },
    low              => sub { is(does(client(), 'reverse', 'hello', priority => 'low'),  'olleh') },
    priorities       => undef,
    'status-running' => sub {
        my $client = client();
        my $handle = $client->dispatch_background('Gearman-Client-slow', '');
        my $status;
        must(wait_until(sub { $status = $client->get_status($handle); $status->running && $status->percent }));
        must($status->known);
        is(join('/', @{$status->progress}), '1/4');
        is($status->percent,                '0.25');
        syswrite $to_gate, 'x';
        must(wait_until(sub { !$client->get_status($handle)->known }));
    },
    'status-known' => sub {
        my $client = client();
        my $status = $client->get_status($client->dispatch_background('Gearman-Client-nobody', ''));
        must($status->known && !$status->running);
    },
    'status-unknown' => sub {
        my $status = client()->get_status("$a//H:nowhere:12345");
        must($status && !$status->known && !$status->running);
    },
    progress => sub {
        %talk = watch(client(), 'talk');
        is($talk{status}, '1/22/2');
    },
    data            => sub { is($talk{data},    'some datamore data') },
    warning         => sub { is($talk{warning}, 'a warning') },
    'all-callbacks' => sub {
        is($talk{order},    'status data warning data status complete ');
        is($talk{complete}, 'the end');
    },
    exception => sub {
        my $client = Gearman::Client->new(job_servers => [$a], exceptions => 1);
        my %seen = watch($client, 'throw');
        is($seen{exception}, 'thrown');
    },
    # WORK_EXCEPTION, and WORK_FAIL after it; then the worker does another job.
    'dying-function' => sub {
        my $pid = start_worker([$a], [qw(die mortal)]);
        my $client = Gearman::Client->new(job_servers => [$a], exceptions => 1);
        my %seen = watch($client, 'die');
        is(${Storable::thaw($seen{exception})}, "what happened\n");
        is(does($client, 'mortal', 'x'), 'survived');
        end_workers($pid);
    },
    fail => sub {
        my %seen = watch(client(), 'fail');
        is($seen{order}, 'fail ');
        is($seen{fail},  'jshandle fail');
    },
    unique => undef,
    binary => sub {
        my $bytes = join '', map { chr } 0 .. 255;
        is(does(client(), 'echo', $bytes), $bytes);
    },
    # The worker sends an empty result, and the result 0, without the zero byte after the handle.
    empty => sub {
        is(does(client(), 'echo', ''), '');
        is(does(client(), 'echo', 0),  '');
    },
    large => sub {
        my ($state, $bytes) = (1, '');
        while (length $bytes < LARGE) {
            $state = ($state * 1664525 + 1013904223) % 2**32;
            $bytes .= pack 'N', $state;
        }
        is(does(client(), 'echo', $bytes), $bytes);
    },
    'dying-worker' => sub {
        syswrite $to_doom, 'x';
        my @pids = map { start_worker([$a], ['mortal']) } 1 .. 2;
        is(does(client(), 'mortal', ''), 'survived');
        must(!is_doomed());
        end_workers(@pids);
    },
    'several-functions' => sub {
        my $pid = start_worker([$a], [qw(echo reverse note)]);
        my $client = client();
        is(does($client, 'echo',    'abc'), 'abc');
        is(does($client, 'reverse', 'abc'), 'cba');
        is(does($client, 'note',    'abc'), 'noted');
        is(noted(), 'abc');
        end_workers($pid);
    },
    # The worker's, for which another gets the job, and the client's.
    timeout => sub {
        syswrite $to_doom, 'x';
        my @pids = map { start_worker([$a], ['tardy'], timeout => 1) } 1 .. 2;
        is(does(client(), 'tardy', ''), 'in time');
        must(!is_doomed());
        end_workers(@pids);
        my $why;
        client()->do_task('Gearman-Client-nobody', '', {timeout => 0.2, on_fail => sub { $why = shift }});
        is($why, 'Task Gearman-Client-nobody elapsed timeout [0.2s]');
    },
    echo  => 'absent the library sends no ECHO_REQ',
    admin => sub {
        my $status = client()->get_job_server_status->{$a}{'Gearman-Client-nobody'};
        must($status, 'no status of this function');
        must($status->{queued} >= 1 && $status->{running} == 0 && $status->{capable} == 0);
    },
    restart => sub {
        my $client = client();
        is(does($client, 'reverse', 'before'), 'erofeb');
        please('kill A');
        must(!defined scalar eval { does($client, 'reverse', 'without') });
        please('start A');
        must(again($client, 'after'));
    },
    'two-servers' => sub {
        my $pid = start_worker([$a, $b], ['reverse']);
        my $client = client($a, $b);
        is(does($client, 'reverse', 'before'), 'erofeb');
        please('kill A');
        my $well = again($client, 'after') && again($client, 'and on');
        end_workers($pid);
        please('start A');
        must($well);
    },

    # What this library has beside them.
    'task-set' => sub {
        my @pids = map { start_worker([$a], [qw(echo reverse fail)]) } 1 .. 2;
        my ($client, %results, $failed) = client();
        my $set = $client->new_task_set;
        for my $number (1 .. 20) {
            $set->add_task('Gearman-Client-reverse', "task-$number",
                {on_complete => sub { $results{$number} = ${$_[0]} }});
        }
        $set->add_task(Gearman::Task->new('Gearman-Client-fail', \'x', {on_fail => sub { $failed++ }}));
        $set->wait(timeout => PATIENCE);
        is($results{$_}, scalar reverse "task-$_") for 1 .. 20;
        is($failed, 1);
        end_workers(@pids);
    },
    # Two of the same in one set are one job, whose result both get.
    'merged-tasks' => sub {
        my ($set, @results) = client()->new_task_set;
        $set->add_task('Gearman-Client-echo', 'same', {uniq => '-', on_complete => sub { push @results, ${$_[0]} }})
            for 1 .. 2;
        my $pid = start_worker([$a], ['echo']);
        $set->wait(timeout => PATIENCE);
        is("@results", 'same same');
        end_workers($pid);
    },
    retry => sub {
        my $pid = start_worker([$a], [qw(fail reverse)]);
        my %seen = watch(client(), 'fail', retry_count => 2);
        is($seen{order}, 'retry retry fail ');
        end_workers($pid);
    },
    prefix => sub {
        my $pid = start_worker([$a], ['reverse'], worker => {prefix => 'here'});
        my $client = Gearman::Client->new(job_servers => [$a], prefix => 'here');
        is(does($client, 'reverse', 'abc'), 'cba');
        end_workers($pid);
    },
    'stop-if' => sub {
        my $pid = start_worker([$a], ['reverse'], stop_if => sub { my ($idle, $last) = @_; $last });
        is(does(client(), 'reverse', 'abc'), 'cba');
        waitpid $pid, 0;
        is($?, 0);
        delete $workers{$pid};
    },
    'unregister' => sub {
        my $worker = Gearman::Worker->new(job_servers => [$a]);
        must($worker->register_function("Gearman-Client-$_", sub { 1 })) for qw(first second);
        my $capable = sub {
            my $functions = client()->get_job_server_status->{$a};
            join ' ', grep { ($functions->{"Gearman-Client-$_"}{capable} // 0) == 1 } qw(first second);
        };
        must(wait_until(sub { $capable->() eq 'first second' }));
        must($worker->unregister_function('Gearman-Client-first'));
        must(wait_until(sub { $capable->() eq 'second' }));
        must($worker->reset_abilities);
        must(wait_until(sub { $capable->() eq '' }));
    },
);

# What is wrong with a case; '' if nothing is.
sub try {
    my ($case) = @_;
    return '' if eval { $case->(); 1 };
    my $why = $@ || 'no reason';
    $why =~ s/\s+/ /g;
    return $why;
}

print "version Gearman::Client ", Gearman::Client->VERSION =~ s/^v//r, "\n";
my %became;
while (my ($name, $case) = splice @before, 0, 2) {
    $became{$name} = try($case);
}
my @main;
my $start_main = sub { push @main, start_worker([$a], [qw(echo reverse note slow fail talk throw)]) };
$start_main->();
while (my ($name, $case) = splice @cases, 0, 2) {
    # These have workers of their own. The one for all is to be there again for the restart.
    if ($name eq 'several-functions' || $name eq 'two-servers') { end_workers(splice @main) }
    if ($name eq 'restart') { $start_main->() }
    if (defined $case && !ref $case) {
        print "case $name $case\n";
        next;
    }
    my $why = $case ? try($case) : $became{$name};
    print $why eq '' ? "case $name ok\n" : "case $name failed $why\n";
}
end_workers(keys %workers);
