//! Blocks: what one write puts on disk, records under one header, cut into sectors. Bytes in memory only; where blocks
//! stand is `segments.rs`, reading them from disk is `window.rs` and `recover.rs`.
use super::aligned::Aligned;
use super::planted::Bug;
use super::sector::{self, Found, Home, PAGE, ROOM, Role, SECTOR};

/// Bytes of a header, in the first sector of a block.
pub(super) const HEADER: usize = 40;
/// Bytes before each record of a block of copies: its order number.
pub(super) const ORDER: usize = 8;

/// The most that one write puts on disk, unless a single record is longer: what is copied or answered at a time.
pub(super) const BLOCK_MAX: u64 = 1 << 20;

/// What stands at the beginning of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// Bytes of records, their order numbers included.
    pub(super) length: u32,
    /// How many records.
    pub(super) count: u32,
    /// Counts the blocks of the log, from 1.
    pub(super) number: u64,
    /// The last block that was durable before this one was written; 0 if none.
    pub(super) durable: u64,
    /// The order number of the first record, unless the block holds copies.
    pub(super) order: u64,
    /// The oldest segment that is still needed.
    pub(super) oldest: u32,
}

impl BlockHeader {
    fn write(&self, out: &mut [u8]) {
        out[0..4].copy_from_slice(&self.length.to_le_bytes());
        out[4..8].copy_from_slice(&self.count.to_le_bytes());
        out[8..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..24].copy_from_slice(&self.durable.to_le_bytes());
        out[24..32].copy_from_slice(&self.order.to_le_bytes());
        out[32..36].copy_from_slice(&self.oldest.to_le_bytes());
        out[36..40].fill(0);
    }

    /// Reads the header from the first sector of a block.
    pub(super) fn read(sector: &[u8]) -> BlockHeader {
        let short =
            |at: usize| u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]]);
        let long = |at: usize| u64::from(short(at)) | u64::from(short(at + 4)) << 32;
        BlockHeader {
            length: short(0),
            count: short(4),
            number: long(8),
            durable: long(16),
            order: long(24),
            oldest: short(32),
        }
    }

    /// Bytes of the whole block on disk.
    pub(super) fn on_disk(&self) -> u64 {
        framed(HEADER as u64 + u64::from(self.length))
    }
}

/// Bytes on disk of a block with this many bytes of header and records.
pub(super) const fn framed(bytes: u64) -> u64 {
    (bytes.div_ceil(ROOM as u64) * SECTOR as u64).next_multiple_of(PAGE as u64)
}

/// Bytes of records for which there is room in a block of at most this many bytes on disk.
pub(super) fn room(on_disk: u64) -> u64 {
    let pages = on_disk / PAGE as u64;
    (pages * (PAGE / SECTOR * ROOM) as u64).saturating_sub(HEADER as u64)
}

/// The distance on disk from the beginning of a block to a byte of its header and records.
pub(super) fn distance(byte: usize) -> usize {
    byte / ROOM * SECTOR + byte % ROOM
}

/// A block in the making.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Aligned,
    /// Bytes of header and records so far.
    filled: usize,
    count: u32,
    /// Per sector: where the first record begins that begins in it.
    firsts: Vec<Option<u16>>,
}

impl Block {
    /// An empty one.
    pub(super) fn new() -> Block {
        Block { bytes: Aligned::new(1 << 16), filled: HEADER, count: 0, firsts: Vec::new() }
    }

    /// Empties it, and gives memory back beyond `keep` bytes.
    pub(super) fn clear(&mut self, keep: usize) {
        if self.bytes.len() > keep {
            *self = Block::new();
        }
        self.filled = HEADER;
        self.count = 0;
        self.firsts.clear();
    }

    /// Bytes of records in it.
    pub(super) fn length(&self) -> usize {
        self.filled - HEADER
    }

    /// Records in it.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Adds a record, which comes in two parts, in a block of copies with its order number. Returns its distance from the
    /// beginning of the block.
    pub(super) fn add(&mut self, order: Option<u64>, record: [&[u8]; 2]) -> u64 {
        let sector = self.filled / ROOM;
        self.firsts.resize((sector + 1).max(self.firsts.len()), None);
        if self.firsts[sector].is_none() {
            self.firsts[sector] = Some((self.filled % ROOM) as u16);
        }
        if let Some(order) = order {
            self.fill(&order.to_le_bytes());
        }
        let at = distance(self.filled) as u64;
        record.iter().for_each(|part| self.fill(part));
        self.count += 1;
        at
    }

    fn fill(&mut self, mut bytes: &[u8]) {
        self.bytes.reserve(framed((self.filled + bytes.len()) as u64) as usize);
        while !bytes.is_empty() {
            let at = distance(self.filled);
            let (now, later) = bytes.split_at(bytes.len().min(ROOM - self.filled % ROOM));
            self.bytes[at..at + now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
        }
    }

    /// Completes it: the bytes to write at `offset` of the segment `home`. `header` need not know length and count.
    pub(super) fn seal(&mut self, header: BlockHeader, home: Home, offset: u64, copies: bool) -> &[u8] {
        let header = BlockHeader { length: self.length() as u32, count: self.count, ..header };
        header.write(&mut self.bytes[..HEADER]);
        let length = framed(self.filled as u64) as usize;
        let mut role = if copies { Role::CopiesBegin } else { Role::Begins };
        for (at, sector) in self.bytes[..length].chunks_exact_mut(SECTOR).enumerate() {
            let used = self.filled.saturating_sub(at * ROOM).min(ROOM);
            sector[used..ROOM].fill(0);
            let first = self.firsts.get(at).copied().flatten().map(usize::from);
            sector::seal(sector, offset / SECTOR as u64 + at as u64, home, role, first);
            role = role.next();
        }
        &self.bytes[..length]
    }
}

/// A block of one long record, which is made and written piece by piece, so that it takes little memory.
#[derive(Debug)]
pub(super) struct Long<'a> {
    header: BlockHeader,
    order: Option<[u8; ORDER]>,
    record: [&'a [u8]; 2],
}

impl<'a> Long<'a> {
    /// Bytes that are made at a time.
    const PIECE: usize = 4 << 20;

    /// Of this record, as in [`Block::add`]. `header` need not know length and count.
    pub(super) fn new(header: BlockHeader, order: Option<u64>, record: [&'a [u8]; 2]) -> Long<'a> {
        let length = order.map_or(0, |_| ORDER) + record[0].len() + record[1].len();
        // A block fits into a segment, whose bytes are counted in 32 bits.
        let header = BlockHeader { length: length as u32, count: 1, ..header };
        Long { header, order: order.map(u64::to_le_bytes), record }
    }

    /// The record's distance from the beginning of the block.
    pub(super) fn distance(&self) -> u64 {
        distance(HEADER + self.order.map_or(0, |_| ORDER)) as u64
    }

    /// Makes it for `offset` of the segment `home`, and hands over each piece with its offset.
    pub(super) fn seal<E>(
        &self,
        home: Home,
        offset: u64,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut header = [0; HEADER];
        self.header.write(&mut header);
        let order = self.order.as_ref().map_or(&[][..], |order| order);
        let mut left = [&header, order, self.record[0], self.record[1]];
        let mut role = if self.order.is_some() { Role::CopiesBegin } else { Role::Begins };
        let (mut at, end) = (offset, offset + self.header.on_disk());
        let mut bytes = Aligned::new(Self::PIECE.min((end - at) as usize));
        while at < end {
            let length = bytes.len().min((end - at) as usize);
            for (index, sector) in bytes[..length].chunks_exact_mut(SECTOR).enumerate() {
                take(&mut left, &mut sector[..ROOM]);
                let first = role.begins().then_some(HEADER);
                sector::seal(sector, at / SECTOR as u64 + index as u64, home, role, first);
                role = role.next();
            }
            each(at, &bytes[..length])?;
            at += length as u64;
        }
        Ok(())
    }
}

/// Fills a sector with what comes next, and then with zeros.
fn take(left: &mut [&[u8]; 4], mut room: &mut [u8]) {
    for part in left {
        let (now, later) = part.split_at(part.len().min(room.len()));
        let (filled, rest) = room.split_at_mut(now.len());
        filled.copy_from_slice(now);
        (*part, room) = (later, rest);
    }
    room.fill(0);
}

/// What stands where a block might begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BlockHead {
    /// A block, so far as its first sector tells.
    Block {
        /// Its header.
        header: BlockHeader,
        /// Whether it holds copies.
        copies: bool,
    },
    /// Nothing of this segment.
    Nothing,
    /// Something else.
    Damaged(&'static str),
}

/// Looks at the sector at `offset` of a segment of `size` bytes.
pub(super) fn head(sector: &[u8], offset: u64, size: u64, home: Home, bug: Bug) -> BlockHead {
    match sector::find(sector, offset / SECTOR as u64, home, bug) {
        Found::Nothing => BlockHead::Nothing,
        Found::Damaged(what) => BlockHead::Damaged(what),
        Found::Ours { role, .. } if !role.begins() => BlockHead::Damaged("a block should begin here"),
        Found::Ours { role, .. } => {
            let header = BlockHeader::read(sector);
            if header.number == 0 || offset + header.on_disk() > size {
                return BlockHead::Damaged("the header of a block makes no sense");
            }
            BlockHead::Block { header, copies: role.copies() }
        }
    }
}

/// What the sectors of a block tell beyond the first.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BlockBody {
    /// All are there.
    Whole,
    /// Some were never written.
    Torn,
    /// This one, counted in the block, is neither.
    Damaged(usize, &'static str),
}

/// Looks at all sectors of the block `bytes` at `offset`.
pub(super) fn body(bytes: &[u8], offset: u64, home: Home, bug: Bug) -> BlockBody {
    let mut whole = BlockBody::Whole;
    let mut role = None;
    for (at, sector) in bytes.chunks_exact(SECTOR).enumerate() {
        match sector::find(sector, offset / SECTOR as u64 + at as u64, home, bug) {
            Found::Ours { role: found, .. } if role.is_none_or(|role| role == found) => {
                role = Some(found.next())
            }
            Found::Ours { .. } => {
                return BlockBody::Damaged(at, "a sector of another block stands within a block");
            }
            Found::Nothing => whole = BlockBody::Torn,
            Found::Damaged(what) => return BlockBody::Damaged(at, what),
        }
    }
    whole
}

/// The records of a whole block, without what surrounds them in the sectors.
pub(super) fn contents(bytes: &[u8], header: &BlockHeader, out: &mut Vec<u8>) {
    out.clear();
    let mut rest = HEADER + header.length as usize;
    for sector in bytes.chunks_exact(SECTOR) {
        out.extend_from_slice(&sector[..rest.min(ROOM)]);
        rest -= rest.min(ROOM);
    }
    out.drain(..HEADER);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Home = Home { log: 1, segment: 2 };
    const HEAD: BlockHeader = BlockHeader { length: 0, count: 0, number: 5, durable: 4, order: 9, oldest: 1 };

    #[test]
    fn what_is_put_into_a_block_is_read_from_it() {
        let mut block = Block::new();
        for length in [1, 400, 496, 5000, 100_000] {
            block.clear(1 << 20);
            let records = [vec![1; length], vec![2; 17], vec![3; length]];
            let at = records
                .iter()
                .map(|record| block.add(None, [&record[..1], &record[1..]]))
                .collect::<Vec<_>>();
            let bytes = block.seal(HEAD, HOME, 8192, false);
            assert_eq!(bytes.len() % PAGE, 0);
            let BlockHead::Block { header, copies: false } =
                head(&bytes[..SECTOR], 8192, 1 << 20, HOME, Bug::NONE)
            else {
                panic!("no block");
            };
            assert_eq!(header, BlockHeader { length: 2 * length as u32 + 17, count: 3, ..HEAD });
            assert_eq!(header.on_disk(), bytes.len() as u64);
            assert_eq!(body(bytes, 8192, HOME, Bug::NONE), BlockBody::Whole);
            let mut found = Vec::new();
            contents(bytes, &header, &mut found);
            assert_eq!(found, records.concat());
            for (at, begins) in at.into_iter().zip([1, 2, 3]) {
                assert_eq!(bytes[at as usize], begins);
            }
        }
    }

    #[test]
    fn a_long_block_is_what_it_would_be_in_one_piece() {
        let home = Home { log: 1, segment: 2 };
        for (length, order) in
            [(1, None), (496, Some(7)), (4 << 20, None), (9_000_001, Some(8)), (9_000_001, None)]
        {
            let record: Vec<u8> = (0..length as u32).map(|at| (at * 7 % 251) as u8).collect();
            let parts = [&record[..length / 3], &record[length / 3..]];
            let mut block = Block::new();
            let at = block.add(order, parts);
            let whole = block.seal(HEAD, home, 8192, order.is_some());
            let long = Long::new(HEAD, order, parts);
            assert_eq!(long.distance(), at);
            let (mut bytes, mut next) = (Vec::new(), 8192);
            let sealed = long.seal(home, 8192, |offset, piece| {
                assert_eq!((offset, piece.as_ptr().addr() % PAGE, piece.len() % PAGE), (next, 0, 0));
                assert!(piece.len() <= Long::PIECE);
                next += piece.len() as u64;
                bytes.extend_from_slice(piece);
                Ok::<(), ()>(())
            });
            assert!(sealed.is_ok() && bytes == whole, "{length} {order:?}");
        }
    }

    #[test]
    fn room_is_what_fits() {
        for pages in 1..40 {
            let disk = pages * PAGE as u64;
            assert_eq!(framed(room(disk) + HEADER as u64), disk);
            assert!(framed(room(disk) + HEADER as u64 + 1) > disk);
        }
        assert_eq!(room(0), 0);
    }

    #[test]
    fn missing_and_damaged_sectors_are_told_apart() {
        let mut block = Block::new();
        block.add(None, [&[1; 3000], &[]]);
        let bytes = block.seal(HEAD, HOME, 4096, false).to_vec();
        let mut torn = bytes.clone();
        torn[1024..1536].fill(0);
        assert_eq!(body(&torn, 4096, HOME, Bug::NONE), BlockBody::Torn);
        let mut damaged = bytes.clone();
        damaged[1024..1536].fill(1);
        assert!(matches!(body(&damaged, 4096, HOME, Bug::NONE), BlockBody::Damaged(2, _)));
    }
}
