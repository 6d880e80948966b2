//! Who is where: shards, slots, sessions, jobs and their handles. Numbers only; no queues, no sockets.
use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;
use core::num::NonZeroU64;

/// Slots of a job server. A function name hashes to one of them; a shard owns some of them.
pub const SLOTS: u16 = 1024;

/// The most shards that one job server may have (`--threads`): one home remains for a guest.
pub const SHARDS_MAX: u16 = HOMES_MAX - 1;

/// The most homes: the id of a session has eight bits for its home.
const HOMES_MAX: u16 = 256;

/// A thread with an engine: a shard, or a guest. 0 up to the number of homes; guests come behind the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard as an index into a table with a row per shard.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What a function name hashes to: 0..[`SLOTS`]. It is part of every job handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The slot of a function. The hash (64-bit FNV-1a) is fixed and unseeded: it is in handles and on disk.
    pub fn of(function: &[u8]) -> Slot {
        Slot::with_rest(function).0
    }

    /// The slot of a function, and what is left of the hash.
    pub(crate) fn with_rest(function: &[u8]) -> (Slot, u64) {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for &byte in function {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let folded = hash ^ (hash >> 32);
        (Slot((folded % u64::from(SLOTS)) as u16), folded / u64::from(SLOTS))
    }
}

/// Which engines there are, and which of them owns which slot.
///
/// An *owner* owns slots, and so functions with their jobs: the shards are the owners. A *home* holds sessions: the shards are
/// homes, and so are the guests, which own no slot. To an owner, a guest is a home like any other. An *observer* is a guest that asks
/// and is not asked: no report tells of its sessions, and nobody waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    shards: u16,
    guests: u16,
    observers: u16,
}

impl Topology {
    /// A job server of `shards` shards, 1..=[`SHARDS_MAX`].
    pub fn new(shards: u16) -> Topology {
        assert!((1..=SHARDS_MAX).contains(&shards), "a job server has 1..={SHARDS_MAX} shards");
        Topology { shards, guests: 0, observers: 0 }
    }

    /// The same shards, and so many guests.
    pub fn with_guests(self, guests: u16) -> Topology {
        Topology { guests, ..self }.checked()
    }

    /// The same shards and guests, and so many observers.
    pub fn with_observers(self, observers: u16) -> Topology {
        Topology { observers, ..self }.checked()
    }

    fn checked(self) -> Topology {
        let homes = u32::from(self.shards) + u32::from(self.guests) + u32::from(self.observers);
        assert!(homes <= u32::from(HOMES_MAX), "a job server has at most {HOMES_MAX} homes");
        self
    }

    /// Everybody who owns slots, in order: the shards.
    #[inline]
    pub fn owners(self) -> impl ExactSizeIterator<Item = ShardId> {
        (0..self.shards).map(ShardId)
    }

    /// Everybody who holds sessions, in order: the shards, then the guests, then the observers.
    #[inline]
    pub fn homes(self) -> impl ExactSizeIterator<Item = ShardId> {
        (0..self.shards + self.guests + self.observers).map(ShardId)
    }

    /// The homes of which reports tell, in order: all but the observers.
    #[inline]
    pub fn told_of(self) -> impl ExactSizeIterator<Item = ShardId> {
        (0..self.shards + self.guests).map(ShardId)
    }

    /// The shard that owns a slot.
    #[inline]
    pub fn owner(self, slot: Slot) -> ShardId {
        ShardId(slot.0 % self.shards)
    }
}

/// A set of homes, as a bitmap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardSet([u64; ShardSet::WORDS]);

impl ShardSet {
    /// Words of 64 bits that a set takes.
    pub const WORDS: usize = HOMES_MAX as usize / 64;

    /// The set whose bits are these: bit 0 of the first word is shard 0.
    pub fn of_words(words: [u64; ShardSet::WORDS]) -> ShardSet {
        ShardSet(words)
    }

    /// Adds all shards of another set.
    pub fn insert_all(&mut self, others: ShardSet) {
        self.0.iter_mut().zip(others.0).for_each(|(word, more)| *word |= more);
    }

    /// The first shard behind this one, going round.
    pub fn next_after(self, shard: ShardId) -> Option<ShardId> {
        let at = shard.index() / 64;
        let behind = self.0[at] & (u64::MAX << (shard.index() % 64)) & !(1 << (shard.index() % 64));
        // Behind it in its own word, then in the words after that, its own again at last.
        let words = (1..=Self::WORDS).map(|n| (at + n) % Self::WORDS).map(|at| (at, self.0[at]));
        let (at, word) = core::iter::once((at, behind)).chain(words).find(|&(_, word)| word != 0)?;
        Some(ShardId((at * 64) as u16 + word.trailing_zeros() as u16))
    }

    /// A set of these.
    pub fn of(shards: impl IntoIterator<Item = ShardId>) -> ShardSet {
        let mut set = ShardSet::default();
        for shard in shards {
            set.insert(shard);
        }
        set
    }

    /// Adds a shard; false if it was there.
    pub fn insert(&mut self, shard: ShardId) -> bool {
        let (word, bit) = (shard.index() / 64, 1 << (shard.index() % 64));
        let absent = self.0[word] & bit == 0;
        self.0[word] |= bit;
        absent
    }

    /// Whether a shard is there.
    pub fn contains(&self, shard: ShardId) -> bool {
        self.0[shard.index() / 64] & 1 << (shard.index() % 64) != 0
    }

    /// Takes a shard out.
    pub fn remove(&mut self, shard: ShardId) {
        self.0[shard.index() / 64] &= !(1 << (shard.index() % 64));
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// The shards of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = ShardId> {
        (0..).zip(self.0).flat_map(|(at, word)| {
            let bits = core::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)));
            bits.take_while(|&rest| rest != 0)
                .map(move |rest| ShardId(at * 64 + rest.trailing_zeros() as u16))
        })
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The number of the socket, shown by `workers`.
    pub descriptor: u32,
    /// The address; an IPv4 address in IPv6 clothes is shown as IPv4.
    pub address: IpAddr,
    /// The port at that address; 0 if there is none. Shown by `jobs` and `clients`.
    pub port: u16,
}

/// A session: what we know about whoever is behind a connection. Made by the shell, which reuses an index only
/// with another generation, so that messages to a session that is gone are recognised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(NonZeroU64);

impl SessionId {
    /// The most sessions at a time on one shard.
    pub const INDEX_MAX: u32 = (1 << 24) - 1;

    /// A session of `shard`; `index` is at most [`Self::INDEX_MAX`], `generation` is 1 or more.
    pub fn new(shard: ShardId, index: u32, generation: u32) -> SessionId {
        assert!(shard.0 < HOMES_MAX && index <= Self::INDEX_MAX && generation > 0);
        let packed = u64::from(shard.0) << 56 | u64::from(index) << 32 | u64::from(generation);
        // Not zero: the generation is not.
        SessionId(NonZeroU64::new(packed).unwrap_or(NonZeroU64::MIN))
    }

    /// The home of the session: where its connection is.
    pub fn shard(self) -> ShardId {
        ShardId((self.0.get() >> 56) as u16)
    }

    /// The place of the session in its shard's table.
    pub fn index(self) -> usize {
        (self.0.get() >> 32) as usize & Self::INDEX_MAX as usize
    }

    /// Tells sessions apart that had the same place.
    pub fn generation(self) -> u32 {
        self.0.get() as u32
    }

    /// The id as one number, for hashing.
    pub fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}.{}.{}", self.shard().0, self.index(), self.generation())
    }
}

/// A job's number: a sequence that the owner counts up, times [`SLOTS`], plus the slot of the job's function.
/// So a handle finds its owner without a look-up, also when the number of shards has changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

impl JobId {
    /// The largest number: handles have room for 18 digits.
    pub const NUMBER_MAX: u64 = 999_999_999_999_999_999;

    /// The largest sequence: with it no number is too large, whatever the slot.
    pub const SEQUENCE_MAX: u64 = Self::NUMBER_MAX / SLOTS as u64;

    /// What a clock says is no reason to begin with a sequence above this, nor is a stored job that has one: an eighth
    /// of all sequences remains to be counted through.
    pub const SEQUENCE_HINT_MAX: u64 = Self::SEQUENCE_MAX / 8 * 7;

    /// The first of the *spare* sequences, a sixteenth of all: no store gives them out. A foreground job gets one when the store has
    /// none to give, and is never stored itself.
    pub const SPARE_MIN: u64 = Self::SEQUENCE_MAX / 16 * 15;

    /// Behind every job.
    pub(crate) const LAST: JobId = JobId(u64::MAX);

    /// The job with this sequence (1 or more) and slot.
    pub fn new(sequence: u64, slot: Slot) -> JobId {
        JobId(sequence * u64::from(SLOTS) + u64::from(slot.0))
    }

    /// The job with this number; `None` if no job has it.
    pub fn from_number(number: u64) -> Option<JobId> {
        (number >= u64::from(SLOTS)).then_some(JobId(number))
    }

    /// The slot of the job's function.
    pub fn slot(self) -> Slot {
        Slot((self.0 % u64::from(SLOTS)) as u16)
    }

    /// The owner's count when it accepted the job.
    pub fn sequence(self) -> u64 {
        self.0 / u64::from(SLOTS)
    }

    /// The number in the handle.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The spare sequence that this number, drawn by chance, stands for, with 2^40 of them behind it.
    pub fn spare_by(chance: u64) -> u64 {
        Self::SPARE_MIN + chance % (Self::SEQUENCE_MAX - Self::SPARE_MIN - (1 << 40))
    }

    /// Whether its sequence is a spare one: see [`JobId::SPARE_MIN`].
    pub fn is_spare(self) -> bool {
        self.sequence() >= Self::SPARE_MIN
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "j{}", self.0)
    }
}

/// What stands before the number in every handle of this job server, the colon included: `H:host:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlePrefix {
    text: Box<[u8]>,
    /// Handles of other servers name jobs, too: they share a store, and number the jobs together.
    takes_any: bool,
}

/// A handle cannot be made of this prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixTooLong {
    /// Its length in bytes.
    pub length: usize,
}

impl fmt::Display for PrefixTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a job handle prefix has at most {} bytes, this one has {}", HandlePrefix::MAX, self.length)
    }
}

impl core::error::Error for PrefixTooLong {}

impl HandlePrefix {
    /// Room for the number: 18 digits, which is a million jobs a second for 31 years.
    const DIGITS: usize = 18;

    /// The longest prefix in bytes: peers accept handles of 63 bytes (gearmand 1.1.20), and the colon and the
    /// number must fit. gearmand cuts longer handles, so that they collide; we refuse the prefix.
    pub const MAX: usize = JobHandle::MAX - 1 - Self::DIGITS;

    /// The prefix as given by the operator, without the last colon.
    pub fn new(prefix: &[u8]) -> Result<HandlePrefix, PrefixTooLong> {
        if prefix.len() > Self::MAX {
            return Err(PrefixTooLong { length: prefix.len() });
        }
        let mut text = alloc::vec::Vec::with_capacity(prefix.len() + 1);
        text.extend_from_slice(prefix);
        text.push(b':');
        Ok(HandlePrefix { text: text.into_boxed_slice(), takes_any: false })
    }

    /// From now on the number alone says which job a handle names: for servers that share a store, whose numbers mean one
    /// job among all of them.
    pub fn take_any(&mut self) {
        self.takes_any = true;
    }

    /// Whether a handle is written as this server writes them.
    pub fn is_of(&self, handle: &[u8]) -> bool {
        handle.starts_with(&self.text)
    }

    /// The handle of a job.
    pub fn handle(&self, job: JobId) -> JobHandle {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut number = job.number();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        let digits = &digits[at..];
        // A number that is none of ours, found in a store, may have 20 digits.
        let length = self.text.len() + digits.len();
        let mut bytes = [0; JobHandle::ROOM];
        bytes[..self.text.len()].copy_from_slice(&self.text);
        bytes[self.text.len()..length].copy_from_slice(digits);
        JobHandle { length: length as u8, bytes }
    }

    /// The job that a handle names, if it is exactly a handle that this job server could have given, or one that shares its
    /// store.
    pub fn parse(&self, handle: &[u8]) -> Option<JobId> {
        let digits = match handle.strip_prefix(&*self.text) {
            Some(digits) => digits,
            None if self.takes_any && handle.len() <= JobHandle::MAX => {
                let colon = handle.iter().rposition(|&byte| byte == b':').filter(|&at| at <= Self::MAX)?;
                &handle[colon + 1..]
            }
            None => return None,
        };
        if digits.is_empty() || digits.len() > Self::DIGITS || digits[0] == b'0' {
            return None;
        }
        let mut number = 0_u64;
        for &digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + u64::from(digit - b'0');
        }
        (number >= u64::from(SLOTS)).then_some(JobId(number))
    }
}

/// A handle as it stands on the wire: prefix and number, at most 63 bytes for every job that was accepted.
#[derive(Clone, Copy)]
pub struct JobHandle {
    length: u8,
    bytes: [u8; JobHandle::ROOM],
}

impl JobHandle {
    /// The longest handle in bytes (gearmand 1.1.20).
    pub const MAX: usize = 63;
    /// Whatever the number is.
    const ROOM: usize = HandlePrefix::MAX + 1 + 20;
}

impl core::ops::Deref for JobHandle {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_next_goes_round() {
        let of = |shards: &[u16]| ShardSet::of(shards.iter().copied().map(ShardId));
        let set = of(&[0, 3, 63, 64, 200]);
        let round = [(0, 3), (3, 63), (62, 63), (63, 64), (64, 200), (65, 200), (200, 0), (255, 0)];
        for (from, to) in round {
            assert_eq!(set.next_after(ShardId(from)), Some(ShardId(to)), "{from}");
        }
        assert_eq!(of(&[7]).next_after(ShardId(7)), Some(ShardId(7)));
        assert_eq!(of(&[]).next_after(ShardId(7)), None);
        let mut both = of(&[1]);
        both.insert_all(of(&[1, 130]));
        assert_eq!(both, of(&[1, 130]));
        assert_eq!(ShardSet::of_words([1 << 1, 0, 1 << 2, 0]), both);
    }

    #[test]
    fn handles_are_read_back() {
        let prefix = HandlePrefix::new(b"H:host").unwrap();
        let job = JobId::new(77, Slot::of(b"reverse"));
        let handle = prefix.handle(job);
        assert!(handle.starts_with(b"H:host:"));
        assert_eq!(prefix.parse(&handle), Some(job));
        assert_eq!(job.slot(), Slot::of(b"reverse"));
        assert_eq!(job.sequence(), 77);
    }

    #[test]
    fn only_exact_handles_are_ours() {
        let prefix = HandlePrefix::new(b"H:host").unwrap();
        for text in ["", "H:host:", "H:host:0", "H:host:01024", "H:host:+1024", "H:host:1023", "h:host:1024"]
        {
            assert_eq!(prefix.parse(text.as_bytes()), None, "{text}");
        }
        assert!(prefix.parse(b"H:host:1024").is_some());
        assert_eq!(prefix.parse(b"H:host:1024\0"), None);
        assert_eq!(prefix.parse(b"H:host:99999999999999999999"), None);
    }

    #[test]
    fn servers_that_share_a_store_know_the_handles_of_each_other() {
        let mut prefix = HandlePrefix::new(b"H:host").unwrap();
        prefix.take_any();
        for text in ["H:host:1024", "H:dead:1024", "H:a:b:1024", ":1024"] {
            assert_eq!(prefix.parse(text.as_bytes()).map(JobId::number), Some(1024), "{text}");
        }
        for text in ["1024", "H:dead:1023", "H:dead:1024x", "H:dead:", "H:host:01024", ""] {
            assert_eq!(prefix.parse(text.as_bytes()), None, "{text}");
        }
        let longest = [&[b'x'; HandlePrefix::MAX][..], b":1024"].concat();
        assert!(prefix.parse(&longest).is_some() && prefix.parse(&[b"x", &longest[..]].concat()).is_none());
        assert!(prefix.is_of(b"H:host:1024") && !prefix.is_of(b"H:dead:1024"));
    }

    #[test]
    fn a_prefix_leaves_room_for_the_number() {
        assert!(HandlePrefix::new(&[b'x'; HandlePrefix::MAX]).is_ok());
        let length = HandlePrefix::MAX + 1;
        assert_eq!(HandlePrefix::new(&[b'x'; HandlePrefix::MAX + 1]), Err(PrefixTooLong { length }));
    }

    #[test]
    fn every_number_has_a_handle() {
        let prefix = HandlePrefix::new(&[b'x'; HandlePrefix::MAX]).unwrap();
        let last = JobId::new(JobId::SEQUENCE_MAX, Slot(SLOTS - 1));
        assert_eq!(last.number(), JobId::NUMBER_MAX);
        assert_eq!(prefix.handle(last).len(), JobHandle::MAX);
        assert_eq!(prefix.parse(&prefix.handle(last)), Some(last));
        // Only a store has these.
        assert!(prefix.handle(JobId(u64::MAX)).ends_with(b":18446744073709551615"));
    }

    #[test]
    fn session_ids_keep_their_parts() {
        let id = SessionId::new(ShardId(255), SessionId::INDEX_MAX, u32::MAX);
        assert_eq!(id.shard(), ShardId(255));
        assert_eq!(id.index(), SessionId::INDEX_MAX as usize);
        assert_eq!(id.generation(), u32::MAX);
    }

    #[test]
    fn guests_are_homes_and_own_nothing() {
        let topology = Topology::new(3).with_guests(2);
        assert_eq!((topology.owners().len(), topology.homes().len()), (3, 5));
        assert!(topology.homes().take(3).eq(topology.owners()));
        assert!((0..SLOTS).all(|slot| topology.owner(Slot(slot)) == Topology::new(3).owner(Slot(slot))));
        let most = Topology::new(SHARDS_MAX).with_guests(1);
        let last = most.homes().last().unwrap();
        assert_eq!(SessionId::new(last, 0, 1).shard(), last);
        let observed = topology.with_observers(1);
        assert_eq!((observed.homes().len(), observed.told_of().len(), observed.owners().len()), (6, 5, 3));
        assert!(observed.told_of().eq(topology.homes()));
    }

    /// Handles and logs carry slots: this hash may never change.
    #[test]
    fn slots_are_fixed() {
        assert_eq!([&b""[..], b"reverse", b"rev"].map(|name| Slot::of(name).0), [961, 890, 587]);
    }
}
