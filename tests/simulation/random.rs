//! The one generator of a world. Its own, so that a seed means the same in every version of every library.

/// SplitMix64: small, fast, and every seed is a good one.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        // Neighbouring seeds are to have nothing in common from the first number on.
        let mut random = Random(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x5273_6e67_6561_7221);
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "nothing to choose from");
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// One of `from..=to`.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True so many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// A position, the more often the heavier it is; `None` if nothing has weight.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> Option<usize> {
        let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        if sum == 0 {
            return None;
        }
        let mut left = self.below(sum);
        weights.iter().position(|&weight| {
            let here = left < u64::from(weight);
            left = left.wrapping_sub(u64::from(weight));
            here
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds in issues and in the README must go on meaning the same.
    #[test]
    fn the_generator_is_fixed() {
        let mut random = Random::new(1);
        assert_eq!([random.next(), random.next()], [6_785_650_195_821_991_363, 13_192_099_446_982_022_428]);
    }

    #[test]
    fn choices_stay_in_range() {
        let mut random = Random::new(7);
        for _ in 0..1000 {
            assert!((3..=5).contains(&random.between(3, 5)));
            assert!(random.weighted(&[0, 2, 0, 1]).is_some_and(|at| at == 1 || at == 3));
        }
        assert_eq!(random.weighted(&[0, 0]), None);
    }
}
