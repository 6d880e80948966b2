//! What one worker has registered, newest first, and found by name in constant time. The names are in `names.rs`.
use super::names::NameIx;
use alloc::vec::Vec;
use hashbrown::HashTable;

/// No entry.
const NONE: u32 = u32::MAX;

/// One CAN_DO.
#[derive(Clone, Copy, Debug)]
struct Ability {
    name: NameIx,
    /// The entry of the CAN_DO before it with this name, or [`NONE`].
    older: u32,
    /// The lower half of its turn.
    turn: u32,
    /// Whether it still counts. What was taken away leaves a hole, until there are more holes than abilities.
    live: bool,
}

/// The registrations of one worker. A function that it has named twice is here twice.
#[derive(Debug, Default)]
pub(crate) struct Abilities {
    /// Oldest first.
    entries: Vec<Ability>,
    /// The newest entry of each name.
    newest: HashTable<u32>,
    live: usize,
}

impl Abilities {
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Spreads the places of names, which are small numbers in a row.
    fn hash(name: NameIx) -> u64 {
        (u64::from(name.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn newest(&self, name: NameIx) -> Option<u32> {
        self.newest.find(Self::hash(name), |&at| self.entries[at as usize].name == name).copied()
    }

    /// Adds a registration in front of the others.
    pub(crate) fn add(&mut self, name: NameIx, turn: u32) {
        let Abilities { entries, newest, .. } = self;
        let at = entries.len() as u32;
        let hash = Self::hash(name);
        let older = match newest.find_mut(hash, |&at| entries[at as usize].name == name) {
            Some(newest) => core::mem::replace(newest, at),
            None => {
                newest.insert_unique(hash, at, |&at| {
                    entries.get(at as usize).map_or(hash, |ability| Self::hash(ability.name))
                });
                NONE
            }
        };
        self.entries.push(Ability { name, older, turn, live: true });
        self.live += 1;
    }

    /// Takes away registrations of a name, all of them or the newest one. Returns how many there were.
    pub(crate) fn remove(&mut self, name: NameIx, all: bool) -> u32 {
        let Some(mut at) = self.newest(name) else { return 0 };
        let mut gone = 0;
        while at != NONE && (all || gone == 0) {
            let ability = &mut self.entries[at as usize];
            ability.live = false;
            at = ability.older;
            gone += 1;
        }
        let Abilities { entries, newest, .. } = self;
        if let Ok(mut found) = newest.find_entry(Self::hash(name), |&at| entries[at as usize].name == name) {
            if at == NONE {
                found.remove();
            } else {
                *found.get_mut() = at;
            }
        }
        self.live -= gone as usize;
        if self.entries.len() > 2 * self.live + 16 {
            self.sweep();
        }
        gone
    }

    /// Takes the newest one away.
    pub(crate) fn pop(&mut self) -> Option<NameIx> {
        while let Some(ability) = self.entries.pop() {
            if ability.live {
                // Nothing is looked up any more in what is taken apart.
                self.newest = HashTable::new();
                self.live -= 1;
                return Some(ability.name);
            }
        }
        None
    }

    /// At most so many names in the order of registration, behind the one with this turn or from the oldest on; and the turn of the last
    /// of them, if more come behind it. `newest` is the least turn of all, of which the lower halves are compared.
    pub(crate) fn behind(&self, after: Option<u32>, newest: u32, most: usize) -> (Vec<NameIx>, Option<u32>) {
        let age = |turn: u32| turn.wrapping_sub(newest);
        let from = after.map_or(0, |after| self.entries.partition_point(|one| age(one.turn) >= age(after)));
        let found = &self.entries[from..self.entries.len().min(from + most)];
        let more = from + found.len() < self.entries.len();
        let names = found.iter().filter(|one| one.live).map(|one| one.name).collect();
        (names, found.last().filter(|_| more).map(|one| one.turn))
    }

    /// Closes the holes.
    fn sweep(&mut self) {
        let old = core::mem::take(self);
        for ability in old.entries.into_iter().filter(|ability| ability.live) {
            self.add(ability.name, ability.turn);
        }
    }

    /// The names, newest first, each with where it stands; of those that stand before `left`, if that is given.
    pub(crate) fn before(&self, left: Option<u32>) -> impl Iterator<Item = (u32, NameIx)> + '_ {
        let end = left.map_or(self.entries.len(), |left| self.entries.len().min(left as usize));
        let entries = self.entries[..end].iter().enumerate().rev();
        entries.filter(|(_, ability)| ability.live).map(|(at, ability)| (at as u32, ability.name))
    }

    /// Of the newest so many, the first whose name is wanted: the lower half of its turn, and the name.
    pub(crate) fn first(&self, most: usize, mut wanted: impl FnMut(NameIx) -> bool) -> Option<(u32, NameIx)> {
        let newest = self.entries.iter().rev().take(most).filter(|ability| ability.live);
        newest.map(|ability| (ability.turn, ability.name)).find(|&(_, name)| wanted(name))
    }

    /// The names, newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = NameIx> + '_ {
        self.entries.iter().rev().filter(|ability| ability.live).map(|ability| ability.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(abilities: &Abilities) -> Vec<u32> {
        abilities.iter().map(|name| name.0).collect()
    }

    #[test]
    fn registrations_stand_newest_first_and_leave_by_name() {
        let mut abilities = Abilities::default();
        [1, 2, 1, 3, 1].into_iter().for_each(|name| abilities.add(NameIx(name), 0));
        assert_eq!(names(&abilities), [1, 3, 1, 2, 1]);
        assert_eq!(abilities.remove(NameIx(1), false), 1);
        assert_eq!(names(&abilities), [3, 1, 2, 1]);
        assert_eq!(abilities.remove(NameIx(1), true), 2);
        assert_eq!(names(&abilities), [3, 2]);
        assert_eq!((abilities.remove(NameIx(1), true), abilities.len()), (0, 2));
    }

    #[test]
    fn holes_do_not_stay() {
        let mut abilities = Abilities::default();
        for name in 0..1000 {
            abilities.add(NameIx(name), 0);
            abilities.add(NameIx(7), 0);
        }
        for name in (0..1000).filter(|&name| name != 7) {
            abilities.remove(NameIx(name), true);
        }
        assert_eq!(abilities.len(), 1001);
        assert_eq!(abilities.remove(NameIx(7), true), 1001);
        assert!(abilities.is_empty() && abilities.entries.len() <= 16);
    }
}
