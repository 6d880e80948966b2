//! What one call of an engine may do: so much for what it was given, so much for each unit of work that a call may do in
//! pieces, and so much for each put that the store answers or is late with. Whatever the state.
//!
//! Not counted is what is bounded elsewhere: replies to requests, which wait in their order.
use ringgear_engine::{Input, Message, Output, Policy, Reply, StoreOp, StoreSeq, ToSessions};

/// Puts of one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Puts {
    asked: u64,
    answered: u64,
}

impl Puts {
    /// A shard has put something out.
    pub(crate) fn see(&mut self, output: &Output) {
        if let Output::Store(StoreOp::Put { seq: StoreSeq(seq), .. }) = output {
            self.asked = *seq;
        }
    }
}

/// What one call is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    what: &'static str,
    /// How much it names.
    named: u64,
    /// Puts that are answered, or may be late.
    puts: u64,
}

impl Given {
    pub(crate) fn of(input: &Input<'_>, puts: &mut Puts) -> Given {
        let (what, named) = match input {
            Input::PutAgain(jobs) => ("jobs to put again", jobs.len() as u64),
            Input::Request(..) | Input::Large(..) => ("a request", 0),
            Input::Message(..) => ("a message", 0),
            Input::Closed(..) => ("the end of a session", 0),
            Input::Stored(_) | Input::StoreFailed(_) | Input::StoredElsewhere(..) => {
                ("an answer of the store", 0)
            }
            Input::Tick => ("the time", 0),
            _ => ("something", 0),
        };
        let waiting = puts.asked - puts.answered;
        if let Input::Stored(StoreSeq(seq))
        | Input::StoreFailed(StoreSeq(seq))
        | Input::StoredElsewhere(StoreSeq(seq), _) = input
        {
            puts.answered = *seq;
        }
        Given { what, named, puts: waiting }
    }
}

/// How much a message to another shard counts.
pub(crate) fn message(message: &Message) -> u64 {
    match message {
        Message::ToSessions(
            ToSessions::Created { .. } | ToSessions::Refused { .. } | ToSessions::Heard { .. },
        ) => 0,
        _ => 1,
    }
}

/// How much an output counts.
pub(crate) fn output(output: &Output) -> u64 {
    match output {
        Output::Note(_) | Output::Store(_) | Output::Reply(_, Reply::Noop) => 1,
        _ => 0,
    }
}

/// Asserts that a call has done no more than it may.
pub(crate) fn check(policy: &Policy, shards: u16, given: Given, made: u64, work: u64) {
    assert!(
        work <= u64::from(policy.work_at_once),
        "[a call does so much work] {work} units for {}",
        given.what
    );
    // A unit of work may be a death, of which all shards hear twice: there is one more, and one less.
    let (each, shards) = (6 + 2 * u64::from(shards), u64::from(shards));
    let most = 12
        + 4 * shards
        + 2 * u64::from(policy.names_at_once)
        + each * u64::from(policy.work_at_once)
        + 4 * (given.named + given.puts);
    assert!(made <= most, "[a call puts out so much] {made} of {most} for {given:?}");
}
