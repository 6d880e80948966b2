use strict;
use warnings;
use Gearman::Worker;

my $worker = Gearman::Worker->new(job_servers => ['127.0.0.1:4370', '127.0.0.1:4371']);
$worker->register_function(reverse => sub { scalar reverse $_[0]->arg });
$worker->work while 1;
