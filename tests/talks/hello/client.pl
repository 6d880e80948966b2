use strict;
use warnings;
use Gearman::Client;

my ($function, $argument) = @ARGV;
my $client = Gearman::Client->new(job_servers => ['127.0.0.1']);
my $tasks = $client->new_task_set;
$tasks->add_task($function => $argument, {
    on_status   => sub { print "status: $_[0]/$_[1]\n" },
    on_warning  => sub { print "warning: ", ref $_[0] ? ${ $_[0] } : $_[0], "\n" },
    on_data     => sub { print "data: ${ $_[0] }\n" },
    on_complete => sub { print "complete: ${ $_[0] }\n" },
    on_fail     => sub { print "failed\n" },
});
$tasks->wait;
