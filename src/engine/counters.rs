//! What a shard counts, for `show counters`. Where it counts is where it happens.

macro_rules! counters {
    ($(#[doc = $doc:literal] $name:ident,)*) => {
        /// What happened since the start, and a few present sizes. Plain numbers of one shard; they merge by adding.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $(#[doc = $doc] pub $name: u64,)*
        }

        impl Counters {
            /// Adds another shard's numbers.
            pub fn merge(&mut self, other: &Counters) {
                $(self.$name += other.$name;)*
            }

            /// Names and values, in the order of declaration.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }

            /// What each of [`Counters::rows`] counts, a sentence or two.
            pub fn meanings() -> impl Iterator<Item = &'static str> {
                [$($doc.trim_ascii()),*].into_iter()
            }
        }
    };
}

counters! {
    /// Sessions now.
    sessions,
    /// Sessions ever.
    sessions_opened,
    /// Sessions closed because the peer sent bytes that are not Gearman's.
    sessions_malformed,
    /// Sessions closed because the peer did not read.
    sessions_slow_reader,
    /// Sessions closed because an operator wanted it so.
    sessions_dismissed,
    /// Times that a connection was left unread because connections held too much, and it the most.
    debtors_unread,
    /// Connections closed because connections held too much, and they the most.
    debtors_closed,
    /// Connections refused because `--max-connections` was reached.
    connections_refused,
    /// TLS handshakes that failed or took too long.
    handshakes_failed,
    /// Times that accepting stopped for want of descriptors.
    accept_out_of_descriptors,
    /// Times that a session was left unread because too many of its requests waited for answers.
    sessions_paused,
    /// Times that this shard left its sockets unread because messages to other shards piled up.
    outbox_full,
    /// Packets refused for their size.
    packets_too_large,
    /// Jobs now, queued and running, and those that the store is to keep first. Dead ones are not counted.
    jobs,
    /// Bytes of these jobs.
    jobs_bytes,
    /// Jobs ever accepted as new.
    jobs_accepted,
    /// Submissions that joined a job.
    jobs_coalesced,
    /// Submissions refused by `maxqueue`.
    refused_queue_full,
    /// Submissions refused by `--max-queued-bytes`.
    refused_queued_bytes,
    /// Submissions refused because all numbers of jobs are used up.
    refused_numbers,
    /// Requests refused because there are too many functions, or these take too many bytes.
    refused_functions,
    /// Registrations refused because the session has too many.
    refused_abilities,
    /// Submissions refused because the session may not submit jobs of the function.
    denied_submissions,
    /// Registrations passed over because the session may not work on the function.
    denied_registrations,
    /// Questions about functions, jobs and workers refused because the session may not ask them.
    denied_reports,
    /// Orders of administrators refused because the session may not give them.
    denied_orders,
    /// Registrations ended because rights have changed.
    registrations_struck_off,
    /// Jobs completed.
    jobs_completed,
    /// Jobs failed by their worker.
    jobs_failed,
    /// Jobs that ended with an exception.
    jobs_exceptions,
    /// Jobs that went back to their queue after a lost attempt.
    jobs_requeued,
    /// Jobs whose worker took too long.
    jobs_timed_out,
    /// Jobs failed because their attempts were used up. Background jobs among them are kept as dead jobs.
    jobs_out_of_attempts,
    /// Dead jobs now.
    dead_jobs,
    /// Bytes of the dead jobs.
    dead_bytes,
    /// Dead jobs dropped because there were too many, or too many bytes of them.
    dead_jobs_dropped,
    /// Dead jobs that an administrator put back into their queues.
    dead_jobs_retried,
    /// Jobs cancelled by an administrator.
    jobs_cancelled,
    /// Queued jobs dropped because all their clients had left.
    jobs_abandoned,
    /// Jobs that ended because their function was dropped. Dead ones are not counted.
    jobs_dropped,
    /// Commits of the store.
    store_commits,
    /// Jobs that the store has been given and has kept.
    jobs_stored,
    /// Jobs found in the store at the start, dead ones not counted.
    jobs_restored,
    /// Jobs that this server has taken over while it served: stored by another one, or by nobody that serves.
    jobs_taken_over,
    /// Times that another server has taken over what this one had stored.
    times_fenced,
    /// Stored jobs that another server has taken over; those that run are finished here all the same.
    jobs_disowned,
    /// Submissions that joined a job that another server has stored: so many jobs of this one were not kept.
    jobs_coalesced_elsewhere,
    /// Jobs found in the store at the start that cannot be ones of this job server: they stay there.
    jobs_set_aside,
    /// Pieces of the store that could not be read any more and were put right from memory, or given up.
    store_repairs,
    /// Jobs that the store could not read any more and that were not in memory.
    store_jobs_lost,
    /// Jobs given up because the store failed to keep them and nobody else waited for them.
    jobs_unstored,
    /// Submissions refused because the store failed, took too long, or had too much to do.
    store_refusals,
    /// Those among them that had waited for as long as they may (`--store-timeout`).
    store_timeouts,
    /// Those among them for which there was no room (`--max-storing-bytes`).
    store_full_refusals,
    /// Jobs that the store has kept after all those who wanted it had been refused; they ended then.
    store_kept_late,
    /// Results of running jobs that no client was there to hear, though one had asked.
    results_discarded,
    /// Late words of a worker on a job that it had finished, or that its time limit had taken away, swallowed.
    results_late,
    /// Late words of a worker on a job that its time limit had taken away, taken because nobody had had the job since.
    results_late_taken,
    /// Results for jobs that the session did not hold, refused.
    results_unknown,
    /// NOOPs sent.
    wakeups,
    /// Times that all sleepers were woken because the first did not take the job.
    wakeups_escalated,
    /// Bytes that peers have this server keep, as far as they are counted: the next five, and `jobs_bytes`.
    memory_accounted,
    /// Bytes of functions, names included.
    functions_bytes,
    /// Bytes of what workers have registered.
    registrations_bytes,
    /// Bytes of replies that wait for earlier ones.
    replies_bytes,
    /// Bytes that wait for other threads.
    outbox_bytes,
    /// Bytes of connections: what was received and is not a whole packet, what was not sent yet.
    connections_bytes,
    /// Lines of the log dropped because they came faster than they could be written (`--max-log-queue`).
    log_lines_dropped,
    /// Warnings and errors that were not written because they repeat others (`--max-log-repeats`).
    log_lines_withheld,
}
