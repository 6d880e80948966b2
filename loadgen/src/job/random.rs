//! Randomness that a seed fixes: the same plan and seed give the same jobs, in every run and on every
//! machine. Nothing here asks the clock or the operating system.

/// Mixes all bits of `x` into all bits of the result; a bijection, so different inputs stay different.
#[inline]
pub(crate) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number for the job `seq` of connection `conn`, of which `salt` makes several independent ones.
#[inline]
pub(crate) const fn of_job(salt: u64, conn: u32, seq: u64) -> u64 {
    mix(salt ^ ((conn as u64) << 40) ^ seq)
}

/// A number in `0..1` made of 53 of the bits.
#[inline]
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// A stream of numbers (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The stream of this seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random { state: mix(seed) }
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// The next time between two events of a Poisson process whose mean is 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        // `unit` can be 0 but never 1, so the logarithm is finite.
        -(1.0 - unit(self.next())).ln()
    }

    /// Fills `bytes`.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.next().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}
