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

/// A table of things by place. Its room is given back when the last of them goes.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { places: Vec::new(), free: Vec::new() }
    }
}

impl<T: Copy> Slab<T> {
    /// Things now.
    pub(crate) fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, thing: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.places[at as usize] = thing;
                at
            }
            None => {
                self.places.push(thing);
                self.places.len() as u32 - 1
            }
        }
    }

    /// Takes away what stands at a place in use.
    #[inline(always)]
    pub(crate) fn remove(&mut self, at: u32) -> T {
        let thing = self.places[at as usize];
        self.free.push(at);
        if self.places.len() > ROOM_KEPT && self.free.len() == self.places.len() {
            self.give_room_back();
        }
        thing
    }

    #[cold]
    #[inline(never)]
    fn give_room_back(&mut self) {
        (self.places, self.free) = (Vec::new(), Vec::new());
    }

    #[inline(always)]
    pub(crate) fn get(&self, at: u32) -> &T {
        &self.places[at as usize]
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, at: u32) -> &mut T {
        &mut self.places[at as usize]
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
        assert!(line.is_empty() && line.first().is_none() && slab.places.capacity() == 0);
    }
}
