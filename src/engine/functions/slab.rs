//! Things in numbered places that are reused, and lines of them: small tables that never look for anything.
use alloc::vec::Vec;

/// `Option<u32>` in four bytes; the largest number is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Option32(pub(super) u32);

impl Option32 {
    pub(crate) const NONE: Option32 = Option32(u32::MAX);

    pub(crate) fn some(number: u32) -> Option32 {
        assert!(number != u32::MAX);
        Option32(number)
    }

    pub(crate) fn get(self) -> Option<u32> {
        (self.0 != u32::MAX).then_some(self.0)
    }
}

/// With so few places, the room is kept though all are free.
const ROOM_KEPT: usize = 64;

/// Places of one piece of a table; a power of two.
const PIECE: usize = 1024;

/// A table of things by place. It grows by a piece at a time: nothing is copied but in the first, and no room is left behind as
/// large as the table. Its room is given back when the last of them goes.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    /// Each of [`PIECE`] places, but for the last.
    pieces: Vec<Vec<T>>,
    /// Places in all pieces.
    places: usize,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { pieces: Vec::new(), places: 0, free: Vec::new() }
    }
}

impl<T: Copy> Slab<T> {
    /// Things now.
    pub(crate) fn count(&self) -> usize {
        self.places - self.free.len()
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, thing: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                *self.get_mut(at) = thing;
                at
            }
            None => self.grow(thing),
        }
    }

    fn grow(&mut self, thing: T) -> u32 {
        let at = self.places;
        if at.is_multiple_of(PIECE) {
            // The first grows with what is in it, because most tables stay small.
            self.pieces.push(Vec::with_capacity(if at == 0 { 0 } else { PIECE }));
        }
        self.pieces[at / PIECE].push(thing);
        self.places += 1;
        at as u32
    }

    /// Takes away what stands at a place in use.
    #[inline(always)]
    pub(crate) fn remove(&mut self, at: u32) -> T {
        let thing = *self.get(at);
        self.free.push(at);
        if self.places > ROOM_KEPT && self.free.len() == self.places {
            self.give_room_back();
        }
        thing
    }

    #[cold]
    #[inline(never)]
    fn give_room_back(&mut self) {
        *self = Slab::default();
    }

    #[inline(always)]
    pub(crate) fn get(&self, at: u32) -> &T {
        &self.pieces[at as usize / PIECE][at as usize % PIECE]
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, at: u32) -> &mut T {
        &mut self.pieces[at as usize / PIECE][at as usize % PIECE]
    }
}

/// A thing of a slab that may stand in a [`Line`], with one each before and behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linked<T> {
    pub(crate) thing: T,
    before: Option32,
    behind: Option32,
}

impl<T> Linked<T> {
    /// In no line.
    #[inline(always)]
    pub(crate) fn alone(thing: T) -> Linked<T> {
        Linked { thing, before: Option32::NONE, behind: Option32::NONE }
    }
}

/// A list through things of a slab, any of which can be taken out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    first: Option32,
    last: Option32,
    len: u32,
}

impl Default for Line {
    fn default() -> Line {
        Line { first: Option32::NONE, last: Option32::NONE, len: 0 }
    }
}

impl Line {
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    pub(crate) fn first(&self) -> Option<u32> {
        self.first.get()
    }

    pub(crate) fn last(&self) -> Option<u32> {
        self.last.get()
    }

    /// Adds a thing, which is in the slab and in no line, at the end.
    #[inline(always)]
    pub(crate) fn push<T: Copy>(&mut self, slab: &mut Slab<Linked<T>>, at: u32) {
        let linked = slab.get_mut(at);
        (linked.before, linked.behind) = (self.last, Option32::NONE);
        match self.last.get() {
            Some(last) => slab.get_mut(last).behind = Option32::some(at),
            None => self.first = Option32::some(at),
        }
        self.last = Option32::some(at);
        self.len += 1;
    }

    /// Takes a thing out of the line, wherever it stands. It stays in the slab.
    #[inline(always)]
    pub(crate) fn remove<T: Copy>(&mut self, slab: &mut Slab<Linked<T>>, at: u32) {
        let &Linked { before, behind, .. } = slab.get(at);
        match before.get() {
            Some(before) => slab.get_mut(before).behind = behind,
            None => self.first = behind,
        }
        match behind.get() {
            Some(behind) => slab.get_mut(behind).before = before,
            None => self.last = before,
        }
        self.len -= 1;
    }

    /// The places of all, in order.
    pub(crate) fn iter<'a, T: Copy>(&self, slab: &'a Slab<Linked<T>>) -> impl Iterator<Item = u32> + 'a {
        let mut next = self.first;
        core::iter::from_fn(move || {
            let at = next.get()?;
            next = slab.get(at).behind;
            Some(at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_grows_by_pieces_and_moves_nothing() {
        let mut slab = Slab::default();
        let first: Vec<u32> = (0..3 * PIECE as u32).map(|number| slab.add(number)).collect();
        let stands = core::ptr::from_ref(slab.get(first[PIECE]));
        for number in 3 * PIECE as u32..100 * PIECE as u32 {
            assert_eq!(slab.add(number), number);
        }
        assert_eq!(core::ptr::from_ref(slab.get(first[PIECE])), stands);
        let room: usize = slab.pieces.iter().map(Vec::capacity).sum();
        assert_eq!((slab.count(), room), (100 * PIECE, 100 * PIECE));
        assert!((0..100 * PIECE as u32).all(|at| slab.remove(at) == at));
        assert_eq!((slab.count(), slab.pieces.capacity()), (0, 0));
    }

    #[test]
    fn things_leave_a_line_from_anywhere_and_their_room_is_given_back() {
        let (mut slab, mut line) = (Slab::default(), Line::default());
        let places: Vec<u32> = (0..100_u32)
            .map(|number| {
                let at = slab.add(Linked::alone(number));
                line.push(&mut slab, at);
                at
            })
            .collect();
        for &at in places.iter().filter(|&&at| at % 3 != 1) {
            line.remove(&mut slab, at);
            slab.remove(at);
        }
        let left: Vec<u32> = line.iter(&slab).map(|at| slab.get(at).thing).collect();
        assert_eq!(left, (0..100).filter(|number| number % 3 == 1).collect::<Vec<_>>());
        assert_eq!((line.len() as usize, slab.count()), (left.len(), left.len()));
        while let Some(at) = line.last() {
            line.remove(&mut slab, at);
            slab.remove(at);
        }
        assert!(line.is_empty() && line.first().is_none() && slab.pieces.capacity() == 0);
    }
}
