//! How long an idle shard looks for work before it sleeps. Pure: it is told what happened and says what to do.
//! What counts as work is asked in `mod.rs`.
use super::options::Spin;

/// Looks longer while that paid lately.
#[derive(Debug)]
pub(crate) struct Parking {
    /// Nanoseconds to look for work at most.
    limit: u64,
    /// Whether to look always.
    always: bool,
    /// How well it paid, up to [`Parking::BEST`].
    score: u8,
}

impl Parking {
    const BEST: u8 = 16;
    const ENOUGH: u8 = 8;
    /// Falling asleep and being woken takes about as long, in nanoseconds.
    const SLEEP: u64 = 50_000;

    /// `pointless`: whether this shard shares its core with others, or has no others.
    pub(crate) fn new(spin: Spin, pointless: bool) -> Parking {
        let (limit, always) = match spin {
            Spin::Off => (0, false),
            Spin::Auto if pointless => (0, false),
            Spin::Auto => (Spin::AUTO.as_nanos(), false),
            Spin::Always(limit) => (limit.as_nanos(), true),
        };
        Parking { limit: u64::try_from(limit).unwrap_or(u64::MAX), always, score: 0 }
    }

    /// For how many nanoseconds to look for work now.
    #[inline]
    pub(crate) fn budget(&self) -> u64 {
        if self.always || self.score >= Self::ENOUGH { self.limit } else { 0 }
    }

    /// Work came while looking for it.
    #[inline]
    pub(crate) fn paid(&mut self) {
        self.score = (self.score + 1).min(Self::BEST);
    }

    /// Work came after so many nanoseconds, after falling asleep.
    pub(crate) fn slept(&mut self, nanos: u64) {
        if nanos <= self.limit.saturating_add(Self::SLEEP) && self.score < Self::ENOUGH {
            self.score += 1;
        } else {
            self.score /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_only_while_that_pays() {
        let mut parking = Parking::new(Spin::Auto, false);
        assert_eq!(parking.budget(), 0);
        (0..8).for_each(|_| parking.slept(30_000));
        assert_eq!(parking.budget(), 20_000);
        (0..8).for_each(|_| parking.paid());
        parking.slept(200_000);
        assert_eq!(parking.budget(), 20_000);
        parking.slept(200_000);
        assert_eq!(parking.budget(), 0);
    }

    #[test]
    fn it_never_looks_where_that_is_pointless() {
        let mut parking = Parking::new(Spin::Auto, true);
        (0..20).for_each(|_| parking.slept(1));
        assert_eq!(parking.budget(), 0);
        assert_eq!(Parking::new(Spin::Always(Spin::AUTO), true).budget(), 20_000);
    }
}
