use strict;
use warnings;
use Gearman::Client;

my ($from, $to) = @ARGV;
my $client = Gearman::Client->new(job_servers => ['127.0.0.1:4370', '127.0.0.1:4371']);
my $taken = 0;
for my $number ($from .. $to) {
    # No unique: the library asks one server only for a job that has one, and does not try the next if that is away.
    my $handle = $client->dispatch_background(reverse => "perl-$number");
    $taken++ if defined $handle;
}
print "Perl: $taken of ", $to - $from + 1, " taken\n";
