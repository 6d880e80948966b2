//! Which jobs are kept and where: 16 bytes for each. No disk.
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Tables for the jobs: growing one of them is short, growing one for all jobs would be a pause.
pub(super) const TABLES: usize = 256;

/// Where the record of a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// The last 16 bits of the segment's number.
    pub(super) segment: u16,
    /// The byte of the segment at which the record begins.
    pub(super) at: u32,
    /// The length, rounded up: see [`Size`].
    pub(super) size: Size,
}

impl Location {
    fn packed(self) -> u64 {
        u64::from(self.segment) << 48 | u64::from(self.at) << 16 | u64::from(self.size.0)
    }

    fn unpacked(packed: u64) -> Location {
        Location { segment: (packed >> 48) as u16, at: (packed >> 16) as u32, size: Size(packed as u16) }
    }
}

/// A length in 16 bits, rounded up by less than a thousandth: 11 bits, and by how many it is shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(u16);

impl Size {
    /// Of this many bytes, at most 2^41.
    pub(super) fn of(bytes: u64) -> Size {
        let shift = (64 - bytes.leading_zeros()).saturating_sub(11);
        let mantissa = bytes.div_ceil(1 << shift);
        // Rounding up may need one bit more.
        let (mantissa, shift) =
            if mantissa >> 11 == 0 { (mantissa, shift) } else { (mantissa >> 1, shift + 1) };
        Size((shift << 11) as u16 | mantissa as u16)
    }

    /// In bytes.
    pub(super) fn bytes(self) -> u64 {
        u64::from(self.0 & 0x7ff) << (self.0 >> 11)
    }
}

/// The jobs.
#[derive(Debug)]
pub(super) struct Live {
    tables: Vec<HashMap<u64, u64, FixedState>>,
}

impl Live {
    /// None.
    pub(super) fn new() -> Live {
        Live { tables: (0..TABLES).map(|_| HashMap::with_hasher(FixedState::default())).collect() }
    }

    /// The low bits of a job's number are its function, those above count.
    fn table(&self, id: u64) -> usize {
        (id >> 10) as usize % self.tables.len()
    }

    /// Where a job is.
    pub(super) fn get(&self, id: u64) -> Option<Location> {
        self.tables[self.table(id)].get(&id).copied().map(Location::unpacked)
    }

    /// Says where a job is; returns where it was.
    pub(super) fn insert(&mut self, id: u64, place: Location) -> Option<Location> {
        let table = self.table(id);
        self.tables[table].insert(id, place.packed()).map(Location::unpacked)
    }

    /// Forgets a job; returns where it was.
    pub(super) fn remove(&mut self, id: u64) -> Option<Location> {
        let table = self.table(id);
        let table = &mut self.tables[table];
        let was = table.remove(&id).map(Location::unpacked);
        // Memory is given back when jobs have gone.
        if table.capacity() > 64 && table.len() < table.capacity() / 8 {
            table.shrink_to(table.len() * 2);
        }
        was
    }

    /// Adds the jobs of a table, below [`TABLES`], that stand in a segment, in no order. Returns how many it looked at.
    pub(super) fn in_segment(&self, table: usize, segment: u16, jobs: &mut Vec<(u64, Location)>) -> usize {
        let all = self.tables[table].iter().map(|(&id, &packed)| (id, Location::unpacked(packed)));
        jobs.extend(all.filter(|(_, place)| place.segment == segment));
        self.tables[table].len()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.tables.iter().map(HashMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_a_little() {
        for bytes in (0..5000).chain([1 << 20, (1 << 20) + 1, 64 << 20, i32::MAX as u64, (1 << 41) - 1]) {
            let kept = Size::of(bytes).bytes();
            assert!((bytes..=bytes + bytes / 1000).contains(&kept), "{bytes} as {kept}");
        }
    }

    #[test]
    fn places_are_kept_whole() {
        let mut live = Live::new();
        let place = Location { segment: u16::MAX, at: u32::MAX - 1, size: Size::of(12_345) };
        assert_eq!(live.insert(1 << 40, place), None);
        assert_eq!(live.get(1 << 40), Some(place));
        assert_eq!((live.len(), live.remove(1 << 40), live.remove(1 << 40)), (1, Some(place), None));
    }
}
