use strict;
use warnings;
use Gearman::Client;

my $client = Gearman::Client->new(job_servers => ['127.0.0.1:4370', '127.0.0.1:4371']);
my $answered = 0;
for my $number (1 .. 30) {
    my $answer = $client->do_task(reverse => "job-$number");
    $answered++ if defined $answer && $$answer eq reverse "job-$number";
}
print "Perl: $answered of 30 answered\n";
