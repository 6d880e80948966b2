//! Sectors: the smallest piece that a disk writes whole. Each says where it belongs and carries a checksum, so that what
//! was never written, what an earlier use of the file left, and what is damaged are told apart. No blocks, no records.
use super::planted::{Bug, PlantedBug};

/// Bytes of a sector.
pub(super) const SECTOR: usize = 512;
/// Bytes of a sector that are filled from outside.
pub(super) const ROOM: usize = 496;
/// Bytes in which files are written: a multiple of every disk's sectors.
pub(super) const PAGE: usize = 4096;
/// In place of the offset of a record: none begins in this sector.
const NONE_BEGINS: u16 = u16::MAX;

/// What a sector is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The header of a segment.
    Segment,
    /// The beginning of a block of records as they came.
    Begins,
    /// More of such a block.
    Goes,
    /// The beginning of a block of copies.
    CopiesBegin,
    /// More of such a block.
    CopiesGo,
}

impl Role {
    const ALL: [Role; 5] = [Role::Segment, Role::Begins, Role::Goes, Role::CopiesBegin, Role::CopiesGo];

    /// As it stands in a sector: 1 to 5.
    fn byte(self) -> u8 {
        self as u8 + 1
    }

    /// Whether a block begins here.
    pub(super) fn begins(self) -> bool {
        matches!(self, Role::Begins | Role::CopiesBegin)
    }

    /// Whether it is part of a block of copies.
    pub(super) fn copies(self) -> bool {
        matches!(self, Role::CopiesBegin | Role::CopiesGo)
    }

    /// What follows in the same block.
    pub(super) fn next(self) -> Role {
        match self {
            Role::Begins | Role::Goes => Role::Goes,
            Role::CopiesBegin | Role::CopiesGo => Role::CopiesGo,
            Role::Segment => Role::Segment,
        }
    }
}

/// Where sectors belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    /// The log: a random number made with it.
    pub(super) log: u32,
    /// The segment.
    pub(super) segment: u32,
}

/// What a sector is found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Whole, and written for this segment.
    Ours {
        /// What it is part of.
        role: Role,
        /// Where in it the first record begins that begins in it.
        first: Option<usize>,
    },
    /// Never written, or left by an earlier use of the file: nothing.
    Nothing,
    /// Neither.
    Damaged(&'static str),
}

/// Completes a sector whose first [`ROOM`] bytes are filled. `index` counts the sectors of the file; `first` is where the
/// first record begins.
pub(super) fn seal(sector: &mut [u8], index: u64, home: Home, role: Role, first: Option<usize>) {
    let first = first.map_or(NONE_BEGINS, |first| first as u16);
    sector[496..500].copy_from_slice(&home.segment.to_le_bytes());
    sector[500..504].copy_from_slice(&home.log.to_le_bytes());
    sector[504..506].copy_from_slice(&first.to_le_bytes());
    sector[506] = role.byte();
    sector[507] = 0;
    let checksum = checksum(sector, index);
    sector[508..SECTOR].copy_from_slice(&checksum.to_le_bytes());
}

/// The place is part of the checksum: a sector that was moved is damaged. The files are far shorter than 2 TiB.
fn checksum(sector: &[u8], index: u64) -> u32 {
    crc32c::crc32c_append(index as u32, &sector[..508])
}

/// The segment and log that a whole sector names, whatever they are.
pub(super) fn home(sector: &[u8], index: u64) -> Option<Home> {
    let number = |at: usize| u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]]);
    (number(508) == checksum(sector, index)).then(|| Home { segment: number(496), log: number(500) })
}

/// Says what a sector is.
pub(super) fn find(sector: &[u8], index: u64, ours: Home, bug: Bug) -> Found {
    if *sector == [0; SECTOR] {
        return Found::Nothing;
    }
    let home = match home(sector, index) {
        Some(home) => home,
        None if bug.is(PlantedBug::SkipChecksum) => ours,
        None => return Found::Damaged("the checksum of a sector is wrong"),
    };
    if home.log != ours.log {
        return Found::Damaged("a sector belongs to another log");
    }
    if home.segment > ours.segment {
        return Found::Damaged("a sector belongs to a later segment");
    }
    if home.segment < ours.segment {
        return Found::Nothing;
    }
    let first = u16::from_le_bytes([sector[504], sector[505]]);
    let first = (first != NONE_BEGINS).then_some(usize::from(first));
    let role = Role::ALL.into_iter().find(|role| role.byte() == sector[506]);
    match role {
        Some(role) if first.is_none_or(|first| first < ROOM) => Found::Ours { role, first },
        _ => Found::Damaged("a sector makes no sense"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Home = Home { log: 9, segment: 3 };

    fn sealed() -> [u8; SECTOR] {
        let mut sector = [7; SECTOR];
        seal(&mut sector, 5, HOME, Role::Begins, Some(60));
        sector
    }

    #[test]
    fn a_sector_is_known_only_in_its_place() {
        let sector = sealed();
        assert_eq!(find(&sector, 5, HOME, Bug::NONE), Found::Ours { role: Role::Begins, first: Some(60) });
        assert_eq!(find(&sector, 5, Home { segment: 4, ..HOME }, Bug::NONE), Found::Nothing);
        assert_eq!(find(&[0; SECTOR], 5, HOME, Bug::NONE), Found::Nothing);
        for (index, home) in [(6, HOME), (5, Home { segment: 2, ..HOME }), (5, Home { log: 8, ..HOME })] {
            assert!(matches!(find(&sector, index, home, Bug::NONE), Found::Damaged(_)), "{index} {home:?}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for (sector, what) in [(sealed(), "written"), ([0; SECTOR], "empty")] {
            for bit in 0..SECTOR * 8 {
                let mut flipped = sector;
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(matches!(find(&flipped, 5, HOME, Bug::NONE), Found::Damaged(_)), "{what} {bit}");
            }
        }
    }
}
