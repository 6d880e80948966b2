//! The command line.
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// What the other job server is called, if nobody says.
pub(crate) const AGAINST: &str = "against";

/// How this program is called to become a job server that ends with it.
pub(crate) const BECOME: &str = "become";

/// Measures a Gearman job server: starts clients and its own workers, keeps to a schedule, checks every job,
/// and says what it found and what limited it.
///
/// Without arguments it spends 30 seconds on the job server at 127.0.0.1:4730, or on a Ringgear that it
/// starts itself when nothing listens there.
#[derive(Debug, Parser)]
#[command(name = "ringgear-load", version, max_term_width = 110, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// What else to do.
    #[command(subcommand)]
    pub(crate) command: Option<Verb>,
    /// A run.
    #[command(flatten)]
    pub(crate) run: Run,
}

/// Everything but a run.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Lists the plans that can be run by name.
    Plans,
    /// Prints a plan as it would be carried out.
    Show {
        /// Which, and what to change in it.
        #[command(flatten)]
        plan: PlanArguments,
    },
    /// Compares two results of the same plan on the same machine, and writes a page of both.
    Compare {
        /// The folder of a comparison, or of the first result.
        a: PathBuf,
        /// The folder of the second result, where the first has not both.
        b: Option<PathBuf>,
        /// Writes the page, pictures and tables into this folder, instead of that of the comparison.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// What is asked of the first.
        #[command(flatten)]
        gates: Gates,
    },
    /// Compares Ringgear with another job server: finds and starts both, gives each its own cores, goes on until all is known
    /// (--rounds auto), and writes a page.
    Versus {
        /// The other: `gearmand`, or the path of any job server that takes the same options.
        other: String,
        /// The run; everything can be said that a comparison takes.
        #[command(flatten)]
        run: Box<Run>,
    },
    /// Makes load for runs that are led from another machine (`--agents`), one after the other. It puts load on any job server that
    /// it is told to: let it listen only where nobody else is.
    Agent {
        /// Where it listens.
        #[arg(long, value_name = "HOST[:PORT]", default_value = "127.0.0.1:4740")]
        listen: String,
        /// Load threads; as many as `--load-core` has cores, otherwise one for every core.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
        threads: Option<u16>,
        /// The cores for them, in turn.
        #[arg(long, value_name = "CORES", value_delimiter = ',')]
        load_core: Vec<usize>,
    },
    /// Turns into a job server that ends with the process that wants it.
    #[command(hide = true, name = BECOME)]
    Become {
        /// Who wants it.
        parent: u32,
        /// Its command line.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Serves as the job server of `self-test`, to try things with.
    #[command(hide = true)]
    StandIn {
        /// Where it listens.
        #[arg(long, default_value = "127.0.0.1")]
        address: std::net::Ipv4Addr,
        /// See `address`.
        #[arg(long)]
        port: u16,
        /// What it does wrong.
        #[arg(long, default_value = "none")]
        fault: String,
    },
    /// Plays a recorded mix of jobs again: a CSV file with a header of time (seconds, rising), function, size (bytes),
    /// service (milliseconds), and if wanted priority (high, normal, low) and background (true, false).
    Replay {
        /// How.
        #[command(flatten)]
        replay: ReplayArguments,
        /// The run; in the place of a plan stands the file.
        #[command(flatten)]
        run: Box<Run>,
    },
    /// Measures the load generator itself, against an echo in this process: its own ceiling.
    SelfTest {
        /// Seconds for each load.
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
        /// Load threads: background jobs are also tried with 2, 4 and so on, up to so many, each with a stand-in of its own.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
        threads: u16,
    },
}

/// How a recorded mix is replayed.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReplayArguments {
    /// How many times as fast as recorded.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) speed: f64,
    /// Connections that the jobs are dealt to in turn.
    #[arg(long, default_value_t = 16)]
    pub(crate) clients: u32,
    /// Workers, each for all functions: 64, or as many as are busy for half of the time. 0 where others work.
    #[arg(long)]
    pub(crate) workers: Option<u32>,
    /// Uses the functions' names as they stand, instead of load-RUN-NAME: other people's workers may get the jobs.
    #[arg(long)]
    pub(crate) as_named: bool,
}

/// Which plan, and what to change in it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PlanArguments {
    /// The name of a plan (see `plans`) or the path of a TOML file; after `replay` the path of a CSV file.
    pub(crate) plan: Option<String>,
    /// Set when `plan` is a recorded mix.
    #[arg(skip)]
    pub(crate) replay: Option<ReplayArguments>,
    /// Length of every measured phase that has one, in seconds.
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Jobs of every group of clients that counts them.
    #[arg(long)]
    pub(crate) jobs: Option<u64>,
    /// Jobs per second of all open loops of a phase together; turns closed loops into open ones.
    #[arg(long, conflicts_with = "closed")]
    pub(crate) rate: Option<f64>,
    /// Closed loop: every client sends its next job when one is answered. Latency then says nothing about
    /// users who do not wait for each other.
    #[arg(long)]
    pub(crate) closed: bool,
    /// Closed loop: jobs in flight on each connection.
    #[arg(long, requires = "closed", default_value_t = 1)]
    pub(crate) depth: u32,
    /// The seed of arrivals, sizes, functions and payloads.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// For soak runs: allows 8 days and 20 billion jobs instead of an hour and 50 million. Where somebody works, background
    /// jobs may be of any number of bytes: workers that are too slow then fill the job server's memory.
    #[arg(long)]
    pub(crate) long: bool,
    /// Changes anything in the plan, such as `phases.0.seconds=3` or `clients.payload=1000`; a name without
    /// numbers means all phases and groups.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// The rounds of a comparison, if the command line says nothing else: with so many no figure of a table of 48 is called better
/// by chance.
pub(crate) const ROUNDS: usize = 7;

/// The most rounds of `auto`.
pub(crate) const ROUNDS_MOST: usize = 20;

/// How often something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounds {
    /// So often.
    Number(usize),
    /// Until all is known that can be.
    Auto,
}

impl std::str::FromStr for Rounds {
    type Err = String;

    fn from_str(text: &str) -> Result<Rounds, String> {
        match text.parse() {
            Ok(number @ 1..=1000) => Ok(Rounds::Number(number)),
            _ if text == "auto" => Ok(Rounds::Auto),
            _ => Err("a number from 1 to 1000, or `auto`".to_owned()),
        }
    }
}

/// What must not come out, and who is told.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Gates {
    /// A threshold, such as `p99 > 5ms`, `rate < 0.99 x asked`, `stall > 100ms`, `memory > 200MB` or `p99 > 1.1 x base` (the
    /// other job server), for every measured phase; the exit status is 4 if one fails. May be given several times.
    #[arg(long, value_name = "THRESHOLD")]
    pub(crate) fail_if: Vec<String>,
    /// Writes checks, phases and thresholds as JUnit's XML.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

/// A run, a comparison of two job servers or a sweep.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Which plan.
    #[command(flatten)]
    pub(crate) plan: PlanArguments,
    /// The job server; without it the one at 127.0.0.1:4730, or a Ringgear that is started if nothing listens there.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<String>,
    /// Its process id; found by its port where that is permitted.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Starts the job server for each run, and ends it; `{port}` stands for its port, `{dir}` for an
    /// empty folder that is taken away afterwards.
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["server", "server_pid"])]
    pub(crate) server_command: Option<String>,
    /// What the job server is called in the result: `server`, or `ringgear` if one of our own is started.
    #[arg(long, value_name = "NAME")]
    pub(crate) label: Option<String>,
    /// The commit that it was built from, to be kept in the result.
    #[arg(long, value_name = "COMMIT")]
    pub(crate) commit: Option<String>,
    /// The job server speaks TLS, the other one as well. There is no probe then.
    #[arg(long, requires = "ca")]
    pub(crate) tls: bool,
    /// The CA that has signed its certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub(crate) ca: Option<PathBuf>,
    /// The name in its certificate.
    #[arg(long, value_name = "NAME", default_value = "localhost", requires = "tls")]
    pub(crate) tls_name: String,
    /// Another job server to compare with: the plan runs on both in turn, and who is first alternates from
    /// round to round.
    #[arg(long, value_name = "HOST:PORT", group = "second")]
    pub(crate) against: Option<String>,
    /// Starts the other job server for each run, and ends it.
    #[arg(long, value_name = "COMMAND", group = "second")]
    pub(crate) against_command: Option<String>,
    /// What the other job server is called.
    #[arg(long, value_name = "NAME", default_value = AGAINST, requires = "second")]
    pub(crate) against_label: String,
    /// How often the plan runs on each of the two, or a sweep is repeated: this one and the other, then the other and this one,
    /// and so on. `auto` goes on until every figure has a verdict or is known within 5 %, or to 20 rounds [default: 7; of a
    /// sweep 3].
    #[arg(long, value_name = "ROUNDS")]
    pub(crate) rounds: Option<Rounds>,
    /// Kills the job server with SIGKILL every so many seconds in the phases of the plan that reconnect, and starts it again; see the
    /// plan `crash`. Only one that is started for the run.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) kill_every: Option<f64>,
    /// The cores for job servers that are started here, such as `0` or `0,1`.
    #[arg(long, value_name = "CORES", value_delimiter = ',')]
    pub(crate) server_core: Vec<usize>,
    /// The cores for the load threads, in turn.
    #[arg(long, value_name = "CORES", value_delimiter = ',')]
    pub(crate) load_core: Vec<usize>,
    /// Load threads; as many as `--load-core` has cores, otherwise one for every two cores.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// Microseconds before a job is due from which on a load thread does not sleep any more.
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 50)]
    pub(crate) spin: u64,
    /// Seconds without any progress after which what is missing counts as lost.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub(crate) patience: f64,
    /// Machines that make the load, each with `ringgear-load agent`; this one leads them.
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',', conflicts_with_all = ["threads", "load_core", "tls"])]
    pub(crate) agents: Vec<String>,
    /// Runs no probe: a client and a worker on a thread of their own, with a job now and then (one in a hundred at most).
    #[arg(long)]
    pub(crate) no_probe: bool,
    /// Writes the result into this folder: a page to open (index.html), JSON, histograms, a Markdown row, a picture; of
    /// two job servers also one page for both [default: a folder of its own in ./ringgear-load-results].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Keeps nothing.
    #[arg(long, conflicts_with = "out")]
    pub(crate) no_out: bool,
    /// Takes the result that the folder of `--out` has away first; files that are no result's stay.
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// What is asked of the result.
    #[command(flatten)]
    pub(crate) gates: Gates,
    /// Finds the highest rate whose p99 is within `--p99`, and draws the way there. With another job server
    /// both are asked for the same rates in turn, and share a picture.
    #[arg(long, conflicts_with_all = ["closed", "fail_if", "junit"])]
    pub(crate) sweep: bool,
    /// Sweep: the bound on the 99th percentile of response time, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 5.0, requires = "sweep")]
    pub(crate) p99: f64,
    /// Prints no live line.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Prints the live line as an object of JSON each second, to standard error.
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) json_lines: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
        let arguments = Arguments::try_parse_from(["ringgear-load", "shazam", "--rate", "10"]).unwrap();
        assert_eq!(arguments.run.plan.plan.as_deref(), Some("shazam"));
        let both = ["ringgear-load", "steady", "--sweep", "--against-command", "gearmand -p {port}"];
        assert!(Arguments::try_parse_from(both).is_ok());
        assert!(Arguments::try_parse_from(["ringgear-load", "plans"]).unwrap().command.is_some());
        assert!(Arguments::try_parse_from(["ringgear-load", "x", "--depth", "3"]).is_err());
    }

    /// Who writes `--p99` into a script believes that it is a threshold.
    #[test]
    fn options_that_would_do_nothing_are_errors() {
        let parse = |options: &str| {
            let words = format!("ringgear-load steady {options}");
            Arguments::try_parse_from(words.split(' ').map(str::to_owned).collect::<Vec<_>>()).map(|_| ())
        };
        for options in [
            "--p99 1",
            "--against-label x",
            "--against h --rounds 0",
            "--against h --rounds some",
            "--sweep --fail-if x",
        ] {
            assert!(parse(options).is_err(), "{options}");
        }
        assert!(parse("--against h --against-command c").is_err());
        for options in [
            "--sweep --p99 1 --rounds 2",
            "--against h --rounds 3 --against-label x",
            "--against h --rounds auto",
        ] {
            parse(options).unwrap_or_else(|error| panic!("{options}: {error}"));
        }
    }
}
