use strict;
use warnings;
use Gearman::Worker;

my ($catalogue) = @ARGV;
open my $file, '<', "$catalogue.catalogue" or die "$catalogue: $!";
my @titles = <$file>;
chomp @titles;

my $worker = Gearman::Worker->new(job_servers => ['127.0.0.1']);
$worker->register_function("search_$catalogue" => sub {
    my $word = $_[0]->arg;
    # One that has nothing at all is out of order: undef fails the job.
    return undef unless @titles;
    my @found = grep { /\Q$word\E/i } @titles;
    # Never an empty result: Gearman::Worker 2.004 sends one without its separator, and the server closes the connection.
    return join "\n", scalar(@found) . " found", @found;
});
$worker->work while 1;
