//! Replies leave in the order of the requests, though their answers come from several shards.
//!
//! A request that will be answered takes a place; an answer fills it; answered places leave from the front. What
//! comes unasked lines up behind the places taken so far. A PRE_SLEEP leaves a mark, so that its NOOP overtakes no
//! answer to an earlier request and waits for none to a later one.
use super::survey::Survey;
use crate::event::Reply;
use crate::message::Place;
use alloc::boxed::Box;
use alloc::collections::VecDeque;

#[derive(Debug)]
enum Entry {
    Waiting,
    Survey(Box<Survey>),
    Answered(Reply),
    /// Nothing is to be said: the answer was silence, or a PRE_SLEEP stood here.
    Silent,
}

/// Bytes that an entry takes, with what it holds. Of a survey only the entry: its rows are counted where they are gathered.
fn weight(entry: &Entry) -> usize {
    let held = if let Entry::Answered(reply) = entry { reply.weight() } else { 0 };
    size_of::<Entry>() + held
}

/// The replies of one session that have not left.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    entries: VecDeque<Entry>,
    /// Bytes that the entries take, with what the answers among them hold.
    bytes: usize,
    /// The place of the front entry.
    front: Place,
    /// The place of the last PRE_SLEEP, if an answer to an earlier request had not left then.
    nap: Option<Place>,
}

impl Replies {
    /// How many places are taken.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that what waits takes.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Panics unless the bytes are counted right.
    pub(crate) fn check_bytes(&self) {
        assert_eq!(self.bytes, self.entries.iter().map(weight).sum::<usize>());
    }

    fn push(&mut self, entry: Entry) -> Place {
        let place = self.front.wrapping_add(self.entries.len() as Place);
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
        place
    }

    fn entry(&mut self, place: Place) -> Option<&mut Entry> {
        self.entries.get_mut(place.wrapping_sub(self.front) as usize)
    }

    /// A place for a request that will be answered.
    pub(crate) fn take_place(&mut self) -> Place {
        self.push(Entry::Waiting)
    }

    /// A place for a query to several shards.
    pub(crate) fn take_survey(&mut self, survey: Survey) -> Place {
        self.push(Entry::Survey(Box::new(survey)))
    }

    /// A reply that needs no waiting, or comes unasked: behind the places taken so far. Gives it back if it may leave
    /// at once.
    #[must_use]
    #[inline]
    pub(crate) fn line_up(&mut self, reply: Reply) -> Option<Reply> {
        if self.entries.is_empty() {
            return Some(reply);
        }
        self.push(Entry::Answered(reply));
        None
    }

    /// A PRE_SLEEP stands here. It leaves a mark only behind answers that its NOOP must not overtake.
    pub(crate) fn mark_nap(&mut self) {
        self.nap = if self.entries.is_empty() { None } else { Some(self.push(Entry::Silent)) };
    }

    /// A planted bug: a PRE_SLEEP leaves a mark wherever it stands.
    pub(crate) fn mark_nap_always(&mut self) {
        self.nap = Some(self.push(Entry::Silent));
    }

    /// Whether nothing is left whose turn to leave has come.
    pub(crate) fn is_settled(&self) -> bool {
        !matches!(self.entries.front(), Some(Entry::Answered(_) | Entry::Silent))
    }

    /// The NOOP for the last PRE_SLEEP. True if it may leave at once: all before it has left.
    pub(crate) fn wake(&mut self) -> bool {
        match self.nap.and_then(|nap| self.entry(nap)) {
            Some(entry @ Entry::Silent) => {
                *entry = Entry::Answered(Reply::Noop);
                false
            }
            _ => true,
        }
    }

    /// Fills a place that waits; `None` says nothing. Gives the reply back if it may leave at once.
    #[must_use]
    #[inline]
    pub(crate) fn fill(&mut self, place: Place, reply: Option<Reply>) -> Option<Reply> {
        if place == self.front {
            let waited = self.entries.pop_front();
            assert!(matches!(waited, Some(Entry::Waiting | Entry::Survey(_))), "a place is answered once");
            self.front = self.front.wrapping_add(1);
            self.bytes -= size_of::<Entry>();
            return reply;
        }
        let entry = self.entry(place).expect("an answer has a place");
        assert!(matches!(entry, Entry::Waiting | Entry::Survey(_)), "a place is answered once");
        *entry = reply.map_or(Entry::Silent, Entry::Answered);
        let more = weight(entry) - size_of::<Entry>();
        self.bytes += more;
        None
    }

    /// The survey at a place, if there is one.
    pub(crate) fn survey(&mut self, place: Place) -> Option<&mut Survey> {
        match self.entry(place) {
            Some(Entry::Survey(survey)) => Some(survey),
            _ => None,
        }
    }

    /// Whether everything before a place has left.
    pub(crate) fn is_next(&self, place: Place) -> bool {
        self.front == place
    }

    /// The next reply that may leave.
    pub(crate) fn next(&mut self) -> Option<Reply> {
        while let Some(Entry::Answered(_) | Entry::Silent) = self.entries.front() {
            self.front = self.front.wrapping_add(1);
            let Some(entry) = self.entries.pop_front() else { break };
            self.bytes -= weight(&entry);
            if let Entry::Answered(reply) = entry {
                return Some(reply);
            }
        }
        if self.entries.is_empty() && self.entries.capacity() > 1024 {
            self.entries = VecDeque::new();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_in_request_order() {
        let mut replies = Replies::default();
        let (first, second) = (replies.take_place(), replies.take_place());
        assert_eq!(replies.line_up(Reply::NoJob), None);
        assert_eq!(replies.fill(second, None), None);
        assert_eq!(replies.next(), None);
        assert_eq!(replies.fill(first, Some(Reply::Noop)), Some(Reply::Noop));
        assert_eq!(replies.next(), Some(Reply::NoJob));
        assert_eq!(replies.next(), None);
        assert_eq!(replies.len(), 0);
        assert_eq!(replies.line_up(Reply::NoJob), Some(Reply::NoJob));
    }

    #[test]
    fn a_noop_overtakes_only_what_was_asked_later() {
        let mut replies = Replies::default();
        let grab = replies.take_place();
        replies.mark_nap();
        let submit = replies.take_place();
        assert!(!replies.wake(), "the grab before it is not answered");
        assert_eq!(replies.fill(grab, Some(Reply::NoJob)), Some(Reply::NoJob));
        assert_eq!(replies.next(), Some(Reply::Noop));
        assert_eq!(replies.next(), None);
        assert!(replies.wake(), "only later ones wait");
        assert_eq!(replies.fill(submit, None), None);
        assert_eq!(replies.next(), None);
    }
}
