use strict;
use warnings;
use Gearman::Client;

my ($from, $to) = @ARGV;
my $client = Gearman::Client->new(job_servers => ['127.0.0.1:4370', '127.0.0.1:4371']);
my $taken = 0;
for my $number ($from .. $to) {
    my $handle = $client->dispatch_background(reverse => "perl-$number", {uniq => "perl-$number"});
    $taken++ if defined $handle;
}
print "Perl: $taken of ", $to - $from + 1, " taken\n";
