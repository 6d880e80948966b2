//! Things in numbered places that are reused, and chains of them: small tables that never look for anything.
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;

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

/// Where a slab has its things.
pub(crate) trait Places<T>: Default {
    /// Places that there are.
    fn count(&self) -> usize;
    /// Adds one.
    fn push(&mut self, thing: T);
    fn at(&self, at: usize) -> &T;
    fn at_mut(&mut self, at: usize) -> &mut T;
}

/// One after the other. The shortest way to a thing; but when it grows, all is copied, and as much room as it has is left behind.
impl<T> Places<T> for Vec<T> {
    #[inline(always)]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn push(&mut self, thing: T) {
        Vec::push(self, thing);
    }

    #[inline(always)]
    fn at(&self, at: usize) -> &T {
        &self[at]
    }

    #[inline(always)]
    fn at_mut(&mut self, at: usize) -> &mut T {
        &mut self[at]
    }
}

/// Places of one piece; a power of two.
const PIECE: usize = 256;

/// In pieces of equal size, for what peers can make very long: nothing is copied when it grows, and no room is left behind.
#[derive(Debug)]
pub(crate) struct Pieces<T> {
    /// What stands at a place that was never used does not matter.
    pieces: Vec<Box<[T; PIECE]>>,
    /// Places that were ever used.
    count: usize,
}

impl<T> Default for Pieces<T> {
    fn default() -> Pieces<T> {
        Pieces { pieces: Vec::new(), count: 0 }
    }
}

impl<T: Copy> Pieces<T> {
    #[cold]
    #[inline(never)]
    fn add_piece(&mut self, thing: T) {
        let piece: Box<[T]> = alloc::vec![thing; PIECE].into_boxed_slice();
        let piece = piece.try_into().unwrap_or_else(|_| unreachable!("it was made with that length"));
        self.pieces.push(piece);
    }
}

impl<T: Copy> Places<T> for Pieces<T> {
    #[inline(always)]
    fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn push(&mut self, thing: T) {
        if self.count.is_multiple_of(PIECE) {
            self.add_piece(thing);
        }
        self.count += 1;
        *self.at_mut(self.count - 1) = thing;
    }

    #[inline(always)]
    fn at(&self, at: usize) -> &T {
        &self.pieces[at / PIECE][at % PIECE]
    }

    #[inline(always)]
    fn at_mut(&mut self, at: usize) -> &mut T {
        &mut self.pieces[at / PIECE][at % PIECE]
    }
}

/// A table of things by place. Its room is given back when the last of them goes.
#[derive(Debug)]
pub(crate) struct Slab<T, P = Vec<T>> {
    places: P,
    free: Vec<u32>,
    things: PhantomData<T>,
}

impl<T, P: Places<T>> Default for Slab<T, P> {
    fn default() -> Slab<T, P> {
        Slab { places: P::default(), free: Vec::new(), things: PhantomData }
    }
}

impl<T: Copy, P: Places<T>> Slab<T, P> {
    /// Things now.
    pub(crate) fn count(&self) -> usize {
        self.places.count() - self.free.len()
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, thing: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                *self.get_mut(at) = thing;
                at
            }
            None => {
                self.places.push(thing);
                self.places.count() as u32 - 1
            }
        }
    }

    /// Takes away what stands at a place in use.
    #[inline(always)]
    pub(crate) fn remove(&mut self, at: u32) -> T {
        let thing = *self.get(at);
        self.free.push(at);
        if self.places.count() > ROOM_KEPT && self.free.len() == self.places.count() {
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
        self.places.at(at as usize)
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, at: u32) -> &mut T {
        self.places.at_mut(at as usize)
    }
}

/// A thing of a slab that may stand in a [`Chain`], with one each before and behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linked<T> {
    pub(crate) thing: T,
    before: Option32,
    behind: Option32,
}

/// A list through things of a slab, any of which can be taken out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    first: Option32,
    last: Option32,
    len: u32,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain { first: Option32::NONE, last: Option32::NONE, len: 0 }
    }
}

impl Chain {
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

    /// Adds a thing to the slab, and here at the end; returns its place.
    #[inline(always)]
    pub(crate) fn push<T: Copy, P: Places<Linked<T>>>(
        &mut self,
        slab: &mut Slab<Linked<T>, P>,
        thing: T,
    ) -> u32 {
        let at = slab.add(Linked { thing, before: self.last, behind: Option32::NONE });
        match self.last.get() {
            Some(last) => slab.get_mut(last).behind = Option32::some(at),
            None => self.first = Option32::some(at),
        }
        self.last = Option32::some(at);
        self.len += 1;
        at
    }

    /// Takes a thing out of the chain, wherever it stands, and out of the slab.
    #[inline(always)]
    pub(crate) fn remove<T: Copy, P: Places<Linked<T>>>(
        &mut self,
        slab: &mut Slab<Linked<T>, P>,
        at: u32,
    ) -> T {
        let Linked { thing, before, behind } = slab.remove(at);
        match before.get() {
            Some(before) => slab.get_mut(before).behind = behind,
            None => self.first = behind,
        }
        match behind.get() {
            Some(behind) => slab.get_mut(behind).before = before,
            None => self.last = before,
        }
        self.len -= 1;
        thing
    }

    /// The places of all, in order.
    pub(crate) fn iter<'a, T: Copy, P: Places<Linked<T>>>(
        &self,
        slab: &'a Slab<Linked<T>, P>,
    ) -> impl Iterator<Item = u32> + use<'a, T, P> {
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
        let mut slab: Slab<u32, Pieces<u32>> = Slab::default();
        let first: Vec<u32> = (0..3 * PIECE as u32).map(|number| slab.add(number)).collect();
        let stands = core::ptr::from_ref(slab.get(first[PIECE]));
        for number in 3 * PIECE as u32..100 * PIECE as u32 {
            assert_eq!(slab.add(number), number);
        }
        assert_eq!(core::ptr::from_ref(slab.get(first[PIECE])), stands);
        assert_eq!((slab.count(), slab.places.pieces.len()), (100 * PIECE, 100));
        assert!((0..100 * PIECE as u32).all(|at| slab.remove(at) == at));
        assert_eq!((slab.count(), slab.places.pieces.capacity()), (0, 0));
    }

    #[test]
    fn things_leave_a_line_from_anywhere_and_their_room_is_given_back() {
        let (mut slab, mut chain): (Slab<_>, _) = (Slab::default(), Chain::default());
        let places: Vec<u32> = (0..100_u32).map(|number| chain.push(&mut slab, number)).collect();
        for &at in places.iter().filter(|&&at| at % 3 != 1) {
            assert_eq!(chain.remove(&mut slab, at), at);
        }
        let left: Vec<u32> = chain.iter(&slab).map(|at| slab.get(at).thing).collect();
        assert_eq!(left, (0..100).filter(|number| number % 3 == 1).collect::<Vec<_>>());
        assert_eq!((chain.len() as usize, slab.count()), (left.len(), left.len()));
        while let Some(at) = chain.last() {
            assert_eq!(chain.remove(&mut slab, at), at);
        }
        assert!(chain.is_empty() && chain.first().is_none() && slab.places.capacity() == 0);
    }
}
