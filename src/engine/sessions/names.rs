//! The names of functions that sessions of this shard have registered: each is kept once, however many workers say it.
//! What a worker has registered is in `abilities.rs`.
use crate::board::{Board, BoardSpot};
use crate::slot::ShardId;
use alloc::vec::Vec;
use bytes::Bytes;
use core::hash::BuildHasher;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// A place in the table of names. Valid while a registration has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NameIx(pub(crate) u32);

#[derive(Debug)]
struct NameEntry {
    name: Bytes,
    spot: BoardSpot,
    /// Registrations that have it; 0 if the place is vacant.
    users: u32,
}

/// All names that sessions of a shard have registered.
#[derive(Debug)]
pub(crate) struct FunctionNames {
    board: Board,
    entries: Vec<NameEntry>,
    vacant: Vec<u32>,
    index: HashTable<u32>,
    hasher: FixedState,
    /// Registrations that have a name, all together.
    users: usize,
}

impl FunctionNames {
    /// What a name takes besides its own bytes: its entry, its place in the index, what the allocator and the
    /// reference count add.
    const EACH: usize = size_of::<NameEntry>() + 8 + 40;

    pub(crate) fn new(board: Board, seed: u64) -> FunctionNames {
        FunctionNames {
            board,
            entries: Vec::new(),
            vacant: Vec::new(),
            index: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            users: 0,
        }
    }

    /// The name's place, if somebody has it.
    pub(crate) fn find(&self, name: &[u8]) -> Option<NameIx> {
        let hash = self.hasher.hash_one(name);
        self.index.find(hash, |&ix| self.entries[ix as usize].name == name).map(|&ix| NameIx(ix))
    }

    /// The name's place, for one registration more.
    pub(crate) fn take(&mut self, name: &[u8]) -> NameIx {
        self.users += 1;
        if let Some(ix) = self.find(name) {
            self.entries[ix.0 as usize].users += 1;
            return ix;
        }
        let entry = NameEntry { name: Bytes::copy_from_slice(name), spot: self.board.spot(name), users: 1 };
        let ix = match self.vacant.pop() {
            Some(ix) => {
                self.entries[ix as usize] = entry;
                ix
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        let FunctionNames { entries, index, hasher, .. } = self;
        let rehash = |&ix: &u32| hasher.hash_one(&entries[ix as usize].name[..]);
        index.insert_unique(hasher.hash_one(name), ix, rehash);
        NameIx(ix)
    }

    /// A registration ended.
    pub(crate) fn give_back(&mut self, ix: NameIx) {
        let entry = &mut self.entries[ix.0 as usize];
        self.users -= 1;
        entry.users -= 1;
        if entry.users > 0 {
            return;
        }
        let name = core::mem::take(&mut entry.name);
        if let Ok(found) = self.index.find_entry(self.hasher.hash_one(&name[..]), |&at| at == ix.0) {
            found.remove();
        }
        self.vacant.push(ix.0);
        if self.index.is_empty() {
            (self.entries, self.vacant, self.index) = (Vec::new(), Vec::new(), HashTable::new());
        }
    }

    /// The name itself; whoever keeps it shares it.
    pub(crate) fn get(&self, ix: NameIx) -> &Bytes {
        &self.entries[ix.0 as usize].name
    }

    /// The shard that owns the function of this name.
    pub(crate) fn owner(&self, ix: NameIx) -> ShardId {
        self.spot(ix).owner
    }

    /// Where the function of this name is to be seen.
    pub(crate) fn spot(&self, ix: NameIx) -> BoardSpot {
        self.entries[ix.0 as usize].spot
    }

    /// Bytes that the names take, without themselves: each is that of a function, which is counted where it is.
    pub(crate) fn bytes(&self) -> usize {
        self.index.len() * Self::EACH
    }

    /// Registrations that have a name, all together.
    pub(crate) fn users(&self) -> usize {
        self.users
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_no_longer_than_somebody_has_it() {
        let mut names = FunctionNames::new(Board::new(crate::slot::Topology::new(1)), 7);
        let long = [b'x'; 8000];
        let first = names.take(&long);
        let bytes = names.bytes();
        assert_eq!(names.take(&long), first);
        assert_eq!((names.bytes(), names.users()), (bytes, 2));
        let other = names.take(b"other");
        names.give_back(first);
        assert_eq!(names.find(&long), Some(first));
        names.give_back(first);
        assert_eq!(names.find(&long), None);
        assert_eq!((names.take(b"third"), names.get(other)), (first, &Bytes::from_static(b"other")));
        names.give_back(first);
        names.give_back(other);
        assert_eq!((names.bytes(), names.users()), (0, 0));
    }
}
