//! The command line as it is written: names, short forms, defaults, help. What the values mean for the parts of the
//! server is in `config/mod.rs`.
use super::access::Granting;
use super::process::Processing;
use super::securing::Securing;
use super::store::Storing;
use super::unsupported::Unsupported;
use super::value::{Probe, compat, level, mode, number, probe, sockets, timeout_unit};
use crate::engine::{Compat, TimeoutUnit};
use crate::logging::Level;
use crate::protocol::PACKET_MAX;
use crate::shard::options::SocketsChoice;
use clap::{ArgAction, Command, CommandFactory, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// The flags as clap knows them. A word that is a negative number is a value, never an option: whoever is refused hears of the value.
pub(super) fn command() -> Command {
    Flags::command().mut_args(|arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    })
}

/// The flags. Names and short forms are gearmand's where gearmand has them. (clap's own `-V` would print another line.)
#[derive(Debug, Parser)]
#[command(
    name = "ringgear",
    about = "A Gearman job server with a thread per core",
    disable_version_flag = true,
    max_term_width = 100,
    after_help = "`ringgear help` lists topics, `ringgear help TOPIC` tells more of one; `ringgear store --help`: tools for stores; \
                  `ringgear check-migration` reads the options of a gearmand"
)]
pub(super) struct Flags {
    /// Port to listen on, a number or the name of a service. 0 takes any free port. Empty: the service `gearman`, or
    /// 4730. GEARMAND_PORT in the environment replaces 4730, if it is a port
    #[arg(short, long, value_name = "PORT", default_value = DEFAULT_PORT)]
    pub(super) port: String,

    /// Address or host name to listen on, every address of this machine that the name has is used; or `unix:PATH`, a unix socket. Behind
    /// it may stand `?` and words with commas between them: `admin`, for administrators and no jobs, `read-only`, for questions only,
    /// `port=PORT`, `mode=MODE`. May be given several times [default: all addresses, IPv4 and IPv6]
    #[arg(short = 'L', long, value_name = "ADDRESS", action = clap::ArgAction::Append)]
    pub(super) listen: Vec<OsString>,

    /// Who may connect to unix sockets: the mode of their files, octal. Everybody, as with a port
    #[arg(long, value_name = "MODE", default_value = "0666", value_parser = mode)]
    pub(super) unix_mode: u32,

    /// Threads, each with a core, a part of the connections and a part of the functions of its own. 0: one for each
    /// core that this process may use; at most 255
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = number(0..=u32::MAX.into()))]
    pub(super) threads: i64,

    /// How sockets are served: uring is by io_uring, or not at all; epoll is what every Linux has; auto tries io_uring at the
    /// start, and takes epoll where it cannot be used
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = sockets)]
    pub(super) sockets: SocketsChoice,

    /// Connections that may wait to be accepted, for each address and thread. More than gearmand's 32, so that many
    /// workers may reconnect at once; the system cuts it to net.core.somaxconn
    #[arg(short, long, value_name = "N", default_value_t = 1024, value_parser = number(i32::MIN.into()..=i32::MAX.into()))]
    pub(super) backlog: i64,

    /// Attempts of a job, lost ones (worker gone, timed out) included, before it fails. With --compat 1.1 and 2.0:
    /// modulo 256, 0 is no limit. With 2.1 and 2.2: -1 is no limit, 0 and 1 are one attempt, at most 255
    /// [default: no limit]
    #[arg(short, long, value_name = "N", value_parser = number(i64::MIN..=i64::MAX))]
    pub(super) job_retries: Option<i64>,

    /// A worker gets jobs of its functions in turn, instead of draining one function after the other. Always so with
    /// --compat 2.0 and later
    #[arg(short = 'R', long)]
    pub(super) round_robin: bool,

    /// Sleeping workers to wake for each job, modulo 256; 0 wakes all of them [default: one, and the others if the
    /// job is still queued after 50 ms]
    #[arg(short, long, value_name = "N", value_parser = number(i64::MIN..=i64::MAX))]
    pub(super) worker_wakeup: Option<i64>,

    /// File to append the log to; `stderr` is standard error, `none` is no log. SIGHUP opens the file again [default:
    /// stderr, with --daemon /var/log/gearmand.log]
    #[arg(short, long, value_name = "FILE")]
    pub(super) log_file: Option<OsString>,

    /// Log to syslog as well (facility user, with the name under which the server was started): to the log file too, unless
    /// that is `none`
    #[arg(long)]
    pub(super) syslog: bool,

    /// What is logged: FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG, each with those before it
    #[arg(long, value_name = "LEVEL", default_value = "ERROR", value_parser = level)]
    pub(super) verbose: Level,

    /// Log more: -v is --verbose NOTICE, -vv INFO, -vvv DEBUG; with --verbose as well, whatever is more. Old gearmands count
    /// like this, newer ones refuse it
    #[arg(short = 'v', action = ArgAction::Count)]
    pub(super) talkative: u8,

    /// What job handles begin with, before a colon and a number; at most 44 bytes [default: H: and the host name]
    #[arg(long, value_name = "PREFIX")]
    pub(super) job_handle_prefix: Option<OsString>,

    /// Every client hears of exceptions without asking for them
    #[arg(long)]
    pub(super) exceptions: bool,

    /// What workers mean by the number of a time limit (CAN_DO_TIMEOUT): ms, as gearmand since 1.1.19, or s, as before and as
    /// the Perl server and some libraries
    #[arg(long, value_name = "UNIT", default_value = "ms", value_parser = timeout_unit)]
    pub(super) timeout_unit: TimeoutUnit,

    /// The gearmand to behave like where its versions differ: 1.1, 2.0, 2.1 or 2.2
    #[arg(long, value_name = "VERSION", default_value = "1.1", value_parser = compat)]
    pub(super) compat: Compat,

    /// Taken for gearmand's sake: idle connections are always probed
    #[arg(long)]
    pub(super) keepalive: bool,

    /// Seconds without traffic before the first probe, 1 to 32767; -1 leaves the system's value, usually two hours. With
    /// the defaults of all three, a peer that is gone without a word is noticed within 60 seconds
    #[arg(long, value_name = "SECONDS", default_value = "30",
        value_parser = |text: &str| probe(text, 32767))]
    pub(super) keepalive_idle: Probe,

    /// Seconds between probes, 1 to 32767; -1 leaves the system's value
    #[arg(long, value_name = "SECONDS", default_value = "10",
        value_parser = |text: &str| probe(text, 32767))]
    pub(super) keepalive_interval: Probe,

    /// Unanswered probes before a connection is given up, 1 to 127; -1 leaves the system's value
    #[arg(long, value_name = "N", default_value = "3",
        value_parser = |text: &str| probe(text, 127))]
    pub(super) keepalive_count: Probe,

    /// Microseconds for which a busy thread may hold back JOB_CREATED and news of jobs, to send several at once to a
    /// client that waits for several results; up to 10000, 0 for never
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 250, value_parser = number(0..=10_000))]
    pub(super) hold_back: i64,

    /// A connection moves to the thread that has its first function, unless that thread has more connections than this
    /// percentage of its fair share, and 16. With 0 none moves
    #[arg(long, value_name = "PERCENT", default_value_t = 150, value_parser = number(0..=100_000))]
    pub(super) settle: i64,

    #[command(flatten)]
    pub(super) process: Processing,

    #[command(flatten)]
    pub(super) granting: Granting,

    #[command(flatten)]
    pub(super) tls: Securing,

    #[command(flatten)]
    pub(super) storing: Storing,

    /// Where the server is reached over HTTP: an address with a port, `unix:PATH`, or `none`. Several with commas, or given several
    /// times. Addresses that others reach want --control-tokens. Without it there is also control.sock in the folder that
    /// RUNTIME_DIRECTORY names, or in /run/ringgear, where that is [default: 127.0.0.1:4780; under the name gearmand none]
    #[arg(long, value_name = "ADDRESS", action = clap::ArgAction::Append, value_delimiter = ',')]
    pub(super) control: Vec<OsString>,

    /// The file that says who may do what over HTTP, a line for each token (`ringgear token new`); read again at SIGHUP. Without it
    /// an address is for looking only, and a unix socket for the user of the server and root
    #[arg(long, value_name = "FILE")]
    pub(super) control_tokens: Option<PathBuf>,

    /// What HTTP requests may call this server (Host) beside its addresses and localhost, behind a proxy for instance. Several with
    /// commas, or given several times
    #[arg(long, value_name = "NAME", action = clap::ArgAction::Append, value_delimiter = ',')]
    pub(super) control_name: Vec<String>,

    /// Take jobs by gearmand's HTTP as well: http, and nothing else
    #[arg(short = 'r', long, value_name = "NAME")]
    pub(super) protocol: Option<String>,

    /// The port of --protocol http, on all addresses where the server listens [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub(super) http_port: Option<String>,
    /// Functions of which times and counts are kept one by one; those of the others are kept together, as (other)
    #[arg(long, value_name = "N", default_value_t = 16_384, value_parser = number(0..=1_048_576))]
    pub(super) function_stats: i64,

    /// Functions of which /metrics tells one by one; the others it tells together, as (other)
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = number(0..=10_000))]
    pub(super) metrics_functions: i64,

    /// Print the version and exit
    #[arg(short = 'V', long)]
    pub(super) version: bool,

    #[command(flatten)]
    pub(super) limits: Limits,

    #[command(flatten)]
    pub(super) unsupported: Unsupported,
}

/// What bounds memory. None of these is gearmand's.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct Limits {
    /// Bytes in one packet, its header of 12 not counted, up to 2 GiB - 1. A larger packet is answered ERROR and its
    /// connection closed
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20, value_parser = number(1..=PACKET_MAX.into()))]
    pub(super) max_packet_size: i64,

    /// Requests of one connection that may wait for answers. With more its socket is not read for a while
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = number(1..=u32::MAX.into()))]
    pub(super) max_requests_in_flight: i64,

    /// Bytes that may wait for a peer that does not read. With more the peer is disconnected
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, value_parser = number(1..=i64::MAX))]
    pub(super) max_unread_bytes: i64,

    /// Bytes of one thread that may wait for other threads. With more it reads no sockets for a while
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20, value_parser = number(1..=i64::MAX))]
    pub(super) max_outbox_bytes: i64,

    /// Connections in all; one more is closed at once. 0: as many as descriptors allow (RLIMIT_NOFILE)
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = number(0..=u32::MAX.into()))]
    pub(super) max_connections: i64,

    /// Bytes that this server may take in all. The limits on jobs, connections and functions are parts of it, where they are
    /// not given. 0: no limit [default: three quarters of the memory that this process may have]
    #[arg(long, value_name = "BYTES", value_parser = number(0..=i64::MAX))]
    pub(super) max_memory: Option<i64>,

    /// Bytes of all jobs, queued and running. With more, submissions are answered ERROR, while everything that empties
    /// queues goes on. 0: no limit [default: half of --max-memory]
    #[arg(long, value_name = "BYTES", value_parser = number(0..=i64::MAX))]
    pub(super) max_queued_bytes: Option<i64>,

    /// Functions on each thread. What would make one more is answered ERROR
    #[arg(long, value_name = "N", default_value_t = 1 << 20, value_parser = number(1..=u32::MAX.into()))]
    pub(super) max_functions: i64,

    /// Bytes that all connections together may hold: unfinished packets, replies that were not read, registrations. From
    /// three quarters of it on those that hold most are not read for a while, above it they are closed. 0: no limit
    /// [default: a quarter of --max-memory]
    #[arg(long, value_name = "BYTES", value_parser = number(0..=i64::MAX))]
    pub(super) max_connection_bytes: Option<i64>,

    /// Bytes that the functions of each thread may take, names included. What would take more is answered ERROR [default:
    /// 512 MiB, or an eighth of --max-memory if that is less]
    #[arg(long, value_name = "BYTES", value_parser = number(1..=i64::MAX))]
    pub(super) max_function_bytes: Option<i64>,

    /// Functions that one worker may register. One more is answered ERROR, as is a MASS_DO of more as a whole
    #[arg(long, value_name = "N", default_value_t = 1 << 17, value_parser = number(1..=u32::MAX.into()))]
    pub(super) max_abilities: i64,

    /// Jobs of each worker to remember that it finished or that its time limit took away, up to 255: what it still says
    /// about them is ignored, or taken if its time was up and nobody has had the job since; about others it is answered ERROR
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = number(0..=255))]
    pub(super) finished_memory: i64,

    /// Bytes of lines that may wait to be written to the log. What finds no room is dropped and counted, and a line says so
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20, value_parser = number(65536..=i64::MAX / 2))]
    pub(super) max_log_queue: i64,

    /// Warnings and errors from one place in the source that are logged in ten seconds; the others are counted, and the
    /// next line says how many there were. 0: all
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = number(0..=u32::MAX.into()))]
    pub(super) max_log_repeats: i64,
}

/// The port where none is given, and the only one that GEARMAND_PORT replaces.
pub(super) const DEFAULT_PORT: &str = "4730";
