//! What is to be said of gearmand's options, one by one, to whoever moves: where this server does otherwise, also where an option
//! is not given. What options there are, which values they take and which are refused is not said here: that is asked of the
//! server's own table (`mod.rs`).
use super::report::{Fate, OptionVerdict};
use crate::config::flags::Flags;
use crate::engine::slot::SHARDS_MAX;

/// About one option of gearmand, by its long name.
pub(super) struct Remark {
    pub(super) option: &'static str,
    /// Where it is given.
    pub(super) given: fn(&Flags) -> Option<OptionVerdict>,
    /// Where it is not.
    pub(super) absent: fn(&Flags) -> Option<OptionVerdict>,
}

fn nothing(_: &Flags) -> Option<OptionVerdict> {
    None
}

/// The processors that this process may use, or that it may have time of.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn note(what: &str) -> Option<OptionVerdict> {
    Some((Fate::Note, what.to_owned(), None))
}

/// In the order in which they are told.
pub(super) const REMARKS: &[Remark] = &[
    Remark { option: "log-file", given: nothing, absent: no_log_file },
    Remark { option: "pid-file", given: nothing, absent: no_pid_file },
    Remark { option: "threads", given: threads, absent: no_threads },
    Remark { option: "worker-wakeup", given: wakeup, absent: no_wakeup },
    Remark { option: "backlog", given: nothing, absent: no_backlog },
    Remark { option: "job-retries", given: retries, absent: nothing },
    Remark { option: "hashtable-buckets", given: buckets, absent: nothing },
    Remark { option: "keepalive", given: nothing, absent: no_keepalive },
    Remark { option: "queue-type", given: queue, absent: no_queue },
    Remark { option: "protocol", given: protocol, absent: nothing },
    Remark { option: "round-robin", given: nothing, absent: nothing },
    Remark { option: "ssl", given: secured, absent: nothing },
    Remark { option: "ssl-ca-file", given: ca, absent: nothing },
];

fn protocol(flags: &Flags) -> Option<OptionVerdict> {
    flags.protocol.as_ref().map(|_| {
        let what = "it answers as gearmand 1.1 does, but for HEAD, which runs no job, and for results that gearmand loses";
        (Fate::Note, what.to_owned(), Some("nothing; `ringgear help http` tells more".to_owned()))
    })
}

fn no_log_file(flags: &Flags) -> Option<OptionVerdict> {
    (!flags.process.daemon).then(|| {
        let what = "gearmand logs to /var/log/gearmand.log then, this server to standard error";
        (Fate::Differs, what.to_owned(), Some("--log-file=/var/log/gearmand.log".to_owned()))
    })
}

fn no_pid_file(flags: &Flags) -> Option<OptionVerdict> {
    (!flags.process.daemon).then(|| {
        let what = "gearmand writes /var/gearmand.pid then, if it may; this server only with --daemon";
        (Fate::Note, what.to_owned(), Some("--pid-file=/var/gearmand.pid".to_owned()))
    })
}

fn threads(flags: &Flags) -> Option<OptionVerdict> {
    let cores = cores();
    if flags.threads > SHARDS_MAX.into() {
        let what = format!(
            "there can be {SHARDS_MAX} at most: so many start under the name gearmand, under the name ringgear none, and more \
             than the {cores} cores here do not help"
        );
        return Some((
            Fate::Differs,
            what,
            Some("--threads=0 (one for each core), or leave it out".to_owned()),
        ));
    }
    if usize::try_from(flags.threads).is_ok_and(|threads| threads > cores) {
        let what = format!("more threads than cores, of which this machine has {cores}, do not help");
        return Some((Fate::Note, what, Some("--threads=0 (one for each core), or leave it out".to_owned())));
    }
    None
}

fn no_threads(_: &Flags) -> Option<OptionVerdict> {
    note("gearmand has 4, this server one for each core")
}

fn wakeup(flags: &Flags) -> Option<OptionVerdict> {
    let all = flags.worker_wakeup.is_some_and(|number| number.to_le_bytes()[0] == 0);
    all.then(|| {
        let what = "every sleeping worker is woken for every job, as by gearmand; by default this server wakes one, and the \
                    others if it does not come";
        (Fate::Note, what.to_owned(), Some("leave it out: that is cheaper, and no job waits longer".to_owned()))
    })
}

fn no_wakeup(_: &Flags) -> Option<OptionVerdict> {
    note(
        "gearmand wakes all sleeping workers for each job, this server one, and the others if it does not come within 50 ms",
    )
}

fn no_backlog(_: &Flags) -> Option<OptionVerdict> {
    note(
        "gearmand lets 32 connections wait to be accepted, this server 1024 for each thread, if net.core.somaxconn allows it",
    )
}

fn retries(flags: &Flags) -> Option<OptionVerdict> {
    let retries = flags.job_retries?;
    if let Some(what) = crate::config::other_meaning(retries, flags.compat) {
        let (what, instead) =
            what.split_once("; ").map_or((what.as_str(), None), |(what, instead)| (what, Some(instead)));
        let fate = if retries == 0 { Fate::Note } else { Fate::Differs };
        return Some((fate, what.to_owned(), instead.map(str::to_owned)));
    }
    note(
        "after so many attempts gearmand drops a job; this server keeps background jobs to be looked at (`show dead jobs`), \
         unless --dead-jobs is 0",
    )
}

fn buckets(_: &Flags) -> Option<OptionVerdict> {
    let what = "it has no effect: tables grow with the jobs";
    Some((Fate::Note, what.to_owned(), Some("leave it out".to_owned())))
}

fn no_keepalive(_: &Flags) -> Option<OptionVerdict> {
    note(
        "gearmand does not probe idle connections, this server does after 30 s: peers that are gone are noticed within a minute",
    )
}

fn secured(_: &Flags) -> Option<OptionVerdict> {
    note(
        "gearmand starts without TLS, or without certificates, and only says so; this server does not start where a file is missing, \
         expired or does not match",
    )
}

fn ca(flags: &Flags) -> Option<OptionVerdict> {
    (flags.tls.ssl && flags.tls.ssl_client.is_none()).then(|| {
        let what = "gearmand asks no client or worker for a certificate; this server does, and refuses one that these CAs have not signed";
        (Fate::Differs, what.to_owned(), Some("--ssl-client=none, if their certificates are by others".to_owned()))
    })
}

fn queue(flags: &Flags) -> Option<OptionVerdict> {
    if flags.storing.queue_type.eq_ignore_ascii_case("builtin") { no_queue(flags) } else { None }
}

fn no_queue(flags: &Flags) -> Option<OptionVerdict> {
    flags.storing.log.data_dir.is_none().then(|| {
        let what = "jobs are kept in memory only, as by gearmand: those that are queued are lost when gearmand stops for the move";
        (Fate::Note, what.to_owned(), Some("--data-dir=DIR keeps background jobs from then on".to_owned()))
    })
}
