use strict;
use warnings;
use Gearman::Worker;

my $worker = Gearman::Worker->new(job_servers => ['127.0.0.1:4370', '127.0.0.1:4371']);
$worker->register_function(reverse => sub {
    open my $done, '>>', 'done.perl' or die $!;
    print $done $_[0]->arg, "\n";
    close $done;
    scalar reverse $_[0]->arg;
});
$worker->work while 1;
