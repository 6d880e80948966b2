//! What one client has submitted and is not fully answered: a window over its jobs, whose memory follows
//! how many are in flight and not how many there were.

/// The submissions of one client, by the number of the job.
#[derive(Debug)]
pub(crate) struct Submissions {
    /// The number of the next job.
    next: u64,
    /// The job that the next JOB_CREATED or ERROR is about.
    answered: u64,
    /// No job before this is outstanding. `oldest <= answered <= next`.
    oldest: u64,
    /// Jobs from `oldest` on, at their number modulo the length, which is a power of two.
    ring: Vec<Slot>,
}

/// A job that was submitted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    /// How far it is.
    pub(crate) state: State,
    /// When the schedule wanted it sent.
    pub(crate) intended: u64,
    /// When it was sent.
    pub(crate) sent: u64,
    /// Its handle, hashed.
    pub(crate) handle: u64,
}

/// How far a submission is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Fully answered.
    #[default]
    Done,
    /// Sent.
    Sent,
    /// JOB_CREATED came, the result not yet.
    Created,
}

impl Submissions {
    /// None yet.
    pub(crate) fn new() -> Submissions {
        Submissions { next: 0, answered: 0, oldest: 0, ring: vec![Slot::default(); 4] }
    }

    /// The number of the next job.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The next job was sent.
    #[inline]
    pub(crate) fn push(&mut self, intended: u64, sent: u64) {
        if self.next - self.oldest == self.ring.len() as u64 {
            self.grow();
        }
        let seq = self.next;
        *self.at(seq) = Slot { state: State::Sent, intended, sent, handle: 0 };
        self.next += 1;
    }

    /// The job that an answer without a number is about; `None` if there is none left.
    #[inline]
    pub(crate) fn answer(&mut self) -> Option<&mut Slot> {
        let seq = self.answered;
        if seq == self.next {
            return None;
        }
        self.answered += 1;
        Some(self.at(seq))
    }

    /// A job by its number; `None` if it was fully answered long ago, or never sent.
    #[inline]
    pub(crate) fn slot(&mut self, seq: u64) -> Option<&mut Slot> {
        (self.oldest..self.next).contains(&seq).then(|| self.at(seq))
    }

    /// The job whose result is awaited under this handle, with its number.
    pub(crate) fn by_handle(&mut self, handle: u64) -> Option<(u64, &mut Slot)> {
        let awaited = |slot: &Slot| slot.state == State::Created && slot.handle == handle;
        let seq = (self.oldest..self.next).find(|&seq| awaited(self.at(seq)))?;
        Some((seq, self.at(seq)))
    }

    /// Those that are not fully answered.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = &Slot> {
        let mask = self.ring.len() - 1;
        let slots = (self.oldest..self.next).map(move |seq| &self.ring[seq as usize & mask]);
        slots.filter(|slot| slot.state != State::Done)
    }

    /// The job that the last answer was about.
    pub(crate) fn last_answered(&self) -> u64 {
        self.answered.saturating_sub(1)
    }

    /// Gives up all of them: no answer can come any more.
    pub(crate) fn forget(&mut self) {
        for seq in self.oldest..self.next {
            self.at(seq).state = State::Done;
        }
        (self.oldest, self.answered) = (self.next, self.next);
    }

    /// Forgets the oldest jobs as far as they are done.
    #[inline]
    pub(crate) fn pass_done(&mut self) {
        while self.oldest < self.answered && self.at(self.oldest).state == State::Done {
            self.oldest += 1;
        }
    }

    #[inline]
    fn at(&mut self, seq: u64) -> &mut Slot {
        let mask = self.ring.len() - 1;
        &mut self.ring[seq as usize & mask]
    }

    #[cold]
    fn grow(&mut self) {
        let mut ring = vec![Slot::default(); self.ring.len() * 2];
        let mask = ring.len() - 1;
        for seq in self.oldest..self.next {
            ring[seq as usize & mask] = *self.at(seq);
        }
        self.ring = ring;
    }
}

/// Handles are compared by hash, so that a slot has a fixed size.
#[inline]
pub(crate) fn hash(handle: &[u8]) -> u64 {
    let mut sum = handle.len() as u64;
    let (chunks, rest) = handle.as_chunks::<8>();
    for chunk in chunks {
        sum = (sum ^ u64::from_le_bytes(*chunk)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        sum ^= sum >> 32;
    }
    for &byte in rest {
        sum = (sum ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    // 0 is the handle of a slot that has none.
    (sum ^ (sum >> 32)) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order_and_results_in_any() {
        let mut jobs = Submissions::new();
        for seq in 0..10 {
            assert_eq!(jobs.next(), seq);
            jobs.push(seq * 10, seq * 10 + 1);
        }
        for seq in 0..10 {
            let slot = jobs.answer().unwrap();
            assert_eq!((slot.state, slot.intended), (State::Sent, seq * 10));
            (slot.state, slot.handle) = (State::Created, seq + 100);
        }
        assert!(jobs.answer().is_none());
        jobs.by_handle(105).unwrap().1.state = State::Done;
        assert!(jobs.by_handle(105).is_none());
        jobs.pass_done();
        assert_eq!(jobs.slot(0).unwrap().intended, 0);
        for seq in 0..5 {
            jobs.slot(seq).unwrap().state = State::Done;
        }
        jobs.pass_done();
        assert!(jobs.slot(5).is_none() && jobs.slot(10).is_none());
        assert_eq!(jobs.slot(6).unwrap().sent, 61);
    }

    #[test]
    fn memory_follows_what_is_in_flight() {
        let mut jobs = Submissions::new();
        for _ in 0..100_000 {
            jobs.push(1, 2);
            jobs.answer().unwrap().state = State::Done;
            jobs.pass_done();
        }
        assert_eq!(jobs.ring.len(), 4);
    }

    #[test]
    fn handles_hash_apart() {
        let mut seen = std::collections::HashSet::new();
        assert!((0..100_000).all(|number| seen.insert(hash(format!("H:vm:{number}").as_bytes()))));
    }
}
