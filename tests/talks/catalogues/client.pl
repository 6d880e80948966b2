use strict;
use warnings;
use Gearman::Client;

my ($word) = @ARGV;
my @catalogues = qw(castle harbour school town);
my (%found, @silent);

my $client = Gearman::Client->new(job_servers => ['127.0.0.1']);
my $tasks = $client->new_task_set;
for my $catalogue (@catalogues) {
    $tasks->add_task("search_$catalogue" => $word, {
        on_complete => sub {
            my (undef, @titles) = split /\n/, ${ $_[0] };
            push @{ $found{$_} }, $catalogue for @titles;
        },
        on_fail     => sub { push @silent, $catalogue },
    });
}
$tasks->wait;

print "$word:\n";
print "  $_ (", join(', ', sort @{ $found{$_} }), ")\n" for sort keys %found;
print "  no answer: @silent\n" if @silent;
