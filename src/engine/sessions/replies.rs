//! Replies leave in the order of the requests, though their answers come from several shards.
//!
//! A request that will be answered takes a place; an answer fills it; answered places leave from the front. What
//! comes unasked lines up behind the places taken so far. A PRE_SLEEP leaves a mark, so that its NOOP overtakes no
//! answer to an earlier request and waits for none to a later one.
//!
//! Places that were taken last and only wait are just counted: most answers come in order, and need no entry.
use super::survey::Survey;
use crate::event::Reply;
use crate::message::Place;
use alloc::boxed::Box;
use alloc::collections::VecDeque;

#[derive(Debug)]
enum PlaceState {
    /// Waits before a place that has an entry.
    Waiting,
    Survey(Box<Survey>),
    Answered(Reply),
    /// Nothing is to be said: the answer was silence, or a PRE_SLEEP stood here.
    Silent,
}

/// Bytes that an entry takes, with what it holds. Of a survey only the entry: its rows are counted where they are gathered.
fn weight(entry: &PlaceState) -> usize {
    let held = if let PlaceState::Answered(reply) = entry { reply.weight() } else { 0 };
    size_of::<PlaceState>() + held
}

/// The replies of one session that have not left.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    /// The first places, up to the last one of which there is something to know.
    entries: VecDeque<PlaceState>,
    /// Places behind these; all of them wait.
    waiting: u32,
    /// Bytes that the entries take, with what the answers among them hold; a place that waits counts as an entry.
    bytes: usize,
    /// The place of the front entry.
    front: Place,
    /// The place of the last PRE_SLEEP, if an answer to an earlier request had not left then.
    nap: Option<Place>,
}

impl Replies {
    /// How many places are taken.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.waiting as usize
    }

    /// Whether nothing may leave, and no more than so many places wait.
    #[inline]
    pub(crate) fn just_waits(&self, most: u32) -> bool {
        self.entries.is_empty() && self.waiting <= most
    }

    /// So many places that only wait hold no more than these bytes.
    pub(crate) fn places_in(bytes: usize) -> usize {
        bytes / size_of::<PlaceState>()
    }

    /// Bytes that what waits takes.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Panics unless the bytes are counted right.
    pub(crate) fn check_bytes(&self) {
        let waiting = self.waiting as usize * size_of::<PlaceState>();
        assert_eq!(self.bytes, self.entries.iter().map(weight).sum::<usize>() + waiting);
    }

    /// Behind all places.
    #[inline]
    fn back(&self) -> Place {
        self.front.wrapping_add(self.len() as Place)
    }

    /// Gives entries to so many of the places that wait.
    fn enter(&mut self, places: u32) {
        self.waiting -= places;
        self.entries.extend((0..places).map(|_| PlaceState::Waiting));
    }

    #[inline(never)]
    fn push(&mut self, entry: PlaceState) -> Place {
        let place = self.back();
        // Places that only wait stand before this one: they get their entries first, or it would stand in one of theirs.
        self.enter(self.waiting);
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
        place
    }

    /// What is known of a place.
    fn entry(&mut self, place: Place) -> Option<&mut PlaceState> {
        self.entries.get_mut(place.wrapping_sub(self.front) as usize)
    }

    /// A place for a request that will be answered.
    #[inline]
    pub(crate) fn take_place(&mut self) -> Place {
        let place = self.back();
        self.waiting += 1;
        self.bytes += size_of::<PlaceState>();
        place
    }

    /// A place for a query to several shards.
    pub(crate) fn take_survey(&mut self, survey: Survey) -> Place {
        self.push(PlaceState::Survey(Box::new(survey)))
    }

    /// A reply that needs no waiting, or comes unasked: behind the places taken so far. Gives it back if it may leave
    /// at once.
    #[must_use]
    #[inline]
    pub(crate) fn line_up(&mut self, reply: Reply) -> Option<Reply> {
        if self.len() == 0 {
            return Some(reply);
        }
        self.push(PlaceState::Answered(reply));
        None
    }

    /// A PRE_SLEEP stands here. It leaves a mark only behind answers that its NOOP must not overtake.
    pub(crate) fn mark_nap(&mut self) {
        self.nap = if self.len() == 0 { None } else { Some(self.push(PlaceState::Silent)) };
    }

    /// A planted bug: a PRE_SLEEP leaves a mark wherever it stands.
    pub(crate) fn mark_nap_always(&mut self) {
        self.nap = Some(self.push(PlaceState::Silent));
    }

    /// Whether nothing is left whose turn to leave has come.
    pub(crate) fn is_flushed(&self) -> bool {
        !matches!(self.entries.front(), Some(PlaceState::Answered(_) | PlaceState::Silent))
    }

    /// The NOOP for the last PRE_SLEEP. True if it may leave at once: all before it has left.
    pub(crate) fn wake(&mut self) -> bool {
        match self.nap.and_then(|nap| self.entry(nap)) {
            Some(entry @ PlaceState::Silent) => {
                *entry = PlaceState::Answered(Reply::Noop);
                false
            }
            _ => true,
        }
    }

    /// The first place, which waits, is answered now: what is to be said there may leave at once.
    #[inline]
    pub(crate) fn pass(&mut self) {
        if self.entries.is_empty() {
            assert!(self.waiting > 0, "an answer has a place");
            self.waiting -= 1;
        } else {
            self.pass_entry();
        }
        self.front = self.front.wrapping_add(1);
        self.bytes -= size_of::<PlaceState>();
    }

    #[inline(never)]
    fn pass_entry(&mut self) {
        let waited = self.entries.pop_front();
        assert!(
            matches!(waited, Some(PlaceState::Waiting | PlaceState::Survey(_))),
            "a place is answered once"
        );
    }

    /// Fills a place that waits behind others; `None` says nothing.
    #[inline(never)]
    pub(crate) fn keep(&mut self, place: Place, reply: Option<Reply>) {
        let ahead = place.wrapping_sub(self.front);
        // Before entries are made: there are none to make for a place that nobody took.
        assert!((ahead as usize) < self.len(), "an answer has a place");
        self.enter((ahead + 1).saturating_sub(self.entries.len() as u32));
        let entry = &mut self.entries[ahead as usize];
        assert!(matches!(entry, PlaceState::Waiting | PlaceState::Survey(_)), "a place is answered once");
        *entry = reply.map_or(PlaceState::Silent, PlaceState::Answered);
        let more = weight(entry) - size_of::<PlaceState>();
        self.bytes += more;
    }

    /// The survey at a place, if there is one.
    pub(crate) fn survey(&mut self, place: Place) -> Option<&mut Survey> {
        match self.entry(place) {
            Some(PlaceState::Survey(survey)) => Some(survey),
            _ => None,
        }
    }

    /// Whether everything before a place has left.
    #[inline]
    pub(crate) fn is_next(&self, place: Place) -> bool {
        self.front == place
    }

    /// Whether a place, and everything before it, has left.
    #[inline]
    pub(crate) fn is_past(&self, place: Place) -> bool {
        // Places are numbered in a circle, of which never more than a small part is taken.
        place.wrapping_sub(self.front) > Place::MAX / 2
    }

    /// The next reply that may leave.
    pub(crate) fn next(&mut self) -> Option<Reply> {
        while let Some(PlaceState::Answered(_) | PlaceState::Silent) = self.entries.front() {
            self.front = self.front.wrapping_add(1);
            let Some(entry) = self.entries.pop_front() else { break };
            self.bytes -= weight(&entry);
            if let PlaceState::Answered(reply) = entry {
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
    use alloc::vec::Vec;

    fn fill(replies: &mut Replies, place: Place, reply: Option<Reply>) -> Option<Reply> {
        if replies.is_next(place) {
            replies.pass();
            return reply;
        }
        replies.keep(place, reply);
        None
    }

    #[test]
    fn answers_leave_in_request_order() {
        let mut replies = Replies::default();
        let (first, second) = (replies.take_place(), replies.take_place());
        assert_eq!(replies.line_up(Reply::NoJob), None);
        assert_eq!(fill(&mut replies, second, None), None);
        assert_eq!(replies.next(), None);
        assert_eq!(fill(&mut replies, first, Some(Reply::Noop)), Some(Reply::Noop));
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
        assert_eq!(fill(&mut replies, grab, Some(Reply::NoJob)), Some(Reply::NoJob));
        assert_eq!(replies.next(), Some(Reply::Noop));
        assert_eq!(replies.next(), None);
        assert!(replies.wake(), "only later ones wait");
        assert_eq!(fill(&mut replies, submit, None), None);
        assert_eq!(replies.next(), None);
    }

    /// Most places never have an entry; whatever is done to those between, the others keep theirs.
    #[test]
    fn places_that_only_wait_have_no_entries() {
        let mut replies = Replies::default();
        let places: Vec<Place> = (0..100).map(|_| replies.take_place()).collect();
        assert_eq!((replies.len(), replies.entries.len()), (100, 0));
        assert!(replies.just_waits(100) && !replies.just_waits(99));
        assert_eq!(fill(&mut replies, places[0], Some(Reply::NoJob)), Some(Reply::NoJob));
        assert_eq!(fill(&mut replies, places[10], Some(Reply::Noop)), None);
        assert_eq!((replies.len(), replies.entries.len()), (99, 10));
        replies.check_bytes();
        for &place in &places[1..10] {
            assert_eq!(fill(&mut replies, place, None), None);
            replies.check_bytes();
        }
        assert_eq!((replies.next(), replies.next()), (Some(Reply::Noop), None));
        assert!(replies.just_waits(89));
        assert_eq!(replies.line_up(Reply::NoJob), None);
        assert_eq!(replies.entries.len(), 90);
        for &place in &places[11..] {
            assert_eq!(fill(&mut replies, place, None), None);
        }
        assert_eq!((replies.next(), replies.len(), replies.bytes()), (Some(Reply::NoJob), 0, 0));
    }

    #[test]
    #[should_panic(expected = "an answer has a place")]
    fn a_place_that_was_not_taken_is_not_filled() {
        let mut replies = Replies::default();
        let place = replies.take_place();
        let _ = fill(&mut replies, place + 1, None);
    }
}
