//! Which connections of a shard hold most, in classes of twice the bytes each, so that finding one of the largest costs the
//! same however many there are. What follows for them is `evict.rs`.
use super::sockets::Token;

/// With less than this a connection is no debtor.
const LEAST: u64 = 64 << 10;
/// The last class is of all that hold a terabyte and more.
const CLASSES: usize = 26;
/// Debtors that are looked at for one that fits.
const LOOKS: usize = 64;

/// The class of a connection that holds so many bytes; 0 is of those that are no debtors.
#[inline]
pub(crate) fn class_of(bytes: u64) -> u8 {
    match (bytes / LEAST).checked_ilog2() {
        None => 0,
        Some(doublings) => (doublings + 1).min(CLASSES as u32 - 1) as u8,
    }
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DebtorSeat {
    /// See [`class_of`].
    pub(crate) class: u8,
    /// Whether it is left unread.
    pub(crate) unread: bool,
    at: usize,
}

/// Debtors from which is read, and others.
#[derive(Debug, Default)]
pub(crate) struct Debtors {
    read: [Vec<Token>; CLASSES],
    unread: [Vec<Token>; CLASSES],
}

impl Debtors {
    fn row(&mut self, class: u8, unread: bool) -> &mut Vec<Token> {
        let side = if unread { &mut self.unread } else { &mut self.read };
        &mut side[usize::from(class)]
    }

    /// Gives a connection a seat, which it keeps and gives back.
    pub(crate) fn sit(&mut self, token: Token, class: u8, unread: bool) -> DebtorSeat {
        let row = self.row(class, unread);
        row.push(token);
        DebtorSeat { class, unread, at: row.len() - 1 }
    }

    /// Takes a seat back. Whoever is returned sits there now.
    #[must_use]
    pub(crate) fn rise(&mut self, seat: DebtorSeat) -> Option<Token> {
        let row = self.row(seat.class, seat.unread);
        row.swap_remove(seat.at);
        let moved = row.get(seat.at).copied();
        if row.is_empty() {
            *row = Vec::new();
        }
        moved
    }

    /// Some of those that hold most and from which is read, the largest class first.
    pub(crate) fn largest_read(&self) -> impl Iterator<Item = Token> {
        self.read.iter().rev().flatten().copied().take(LOOKS)
    }

    /// The same of all.
    pub(crate) fn largest(&self) -> impl Iterator<Item = Token> {
        let rows = self.unread.iter().zip(&self.read).rev();
        rows.flat_map(|(unread, read)| unread.iter().chain(read)).copied().take(LOOKS)
    }

    /// One of those that hold least and are left unread.
    pub(crate) fn smallest_unread(&self) -> Option<Token> {
        self.unread.iter().flatten().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(index: u32) -> Token {
        Token { index, generation: 1 }
    }

    #[test]
    fn classes_double() {
        let classes: Vec<u8> =
            [0, LEAST - 1, LEAST, 2 * LEAST - 1, 2 * LEAST, 1 << 20, u64::MAX].map(class_of).into();
        assert_eq!(classes, [0, 0, 1, 1, 2, 5, CLASSES as u8 - 1]);
    }

    #[test]
    fn the_largest_is_found_and_seats_are_given_back() {
        let mut debtors = Debtors::default();
        let seats: Vec<DebtorSeat> = (0..3).map(|index| debtors.sit(token(index), 2, false)).collect();
        let large = debtors.sit(token(7), 5, true);
        assert_eq!(debtors.largest().next(), Some(token(7)));
        assert_eq!(debtors.largest_read().collect::<Vec<_>>(), [token(0), token(1), token(2)]);
        assert_eq!(debtors.rise(seats[0]), Some(token(2)), "the last one takes the place");
        assert_eq!(debtors.rise(DebtorSeat { at: 0, ..seats[2] }), Some(token(1)));
        assert_eq!(debtors.rise(DebtorSeat { at: 0, ..seats[1] }), None);
        assert_eq!((debtors.largest_read().next(), debtors.smallest_unread()), (None, Some(token(7))));
        assert_eq!(debtors.rise(large), None);
        assert_eq!(debtors.largest().next(), None);
    }
}
