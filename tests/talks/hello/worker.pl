use strict;
use warnings;
use Gearman::Worker;

$| = 1;
my $worker = Gearman::Worker->new(job_servers => ['127.0.0.1']);

$worker->register_function(hello => sub {
    my ($job) = @_;
    print "hello: ", $job->arg, "\n";
    $job->set_status(1, 2);
    $job->set_status(2, 2);
    return "Hello, " . $job->arg . "!";
});

$worker->register_function(uhoh => sub {
    my ($job) = @_;
    print "uhoh: ", $job->arg, "\n";
    $job->set_status(1, 2);
    $worker->send_work_warning($job, "this does not look good");
    $worker->send_work_data($job, "half of an answer");
    $job->set_status(2, 2);
    return undef;
});

$worker->work while 1;
