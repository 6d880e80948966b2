//! A function as `ringgear status` and `ringgear top` show it, and the order in which they do. Values only.
use std::cmp::Reverse;

/// What is known of a function.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct FunctionLoad {
    pub(in crate::cli) function: Vec<u8>,
    /// Jobs that wait: of a server's HTTP side those that wait for a worker, of the administrators' lines all that do not run.
    pub(in crate::cli) waiting: u64,
    pub(in crate::cli) running: u64,
    pub(in crate::cli) workers: u64,
    /// The server has told of it; otherwise it was asked for only.
    pub(in crate::cli) known: bool,
    /// What only a server's HTTP side tells.
    pub(in crate::cli) told: Option<FunctionTold>,
}

/// What only the HTTP side of a server tells of a function.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::cli) struct FunctionTold {
    /// How it is, in the server's word.
    pub(in crate::cli) state: String,
    /// Seconds for which the job has waited that has waited longest.
    pub(in crate::cli) oldest: Option<f64>,
    /// Jobs that wait for their time.
    pub(in crate::cli) scheduled: u64,
    pub(in crate::cli) dead: u64,
    pub(in crate::cli) paused: bool,
    /// What is counted of it alone.
    pub(in crate::cli) pace: Option<FunctionPace>,
}

/// How fast jobs of a function come and go.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::cli) struct FunctionPace {
    /// Jobs that came, and ended, each second of these seconds.
    pub(in crate::cli) came: f64,
    pub(in crate::cli) done: f64,
    pub(in crate::cli) window: u64,
    /// Seconds within which 95 of 100 jobs ran; true if that may have been longer.
    pub(in crate::cli) run_p95: Option<(f64, bool)>,
}

impl FunctionLoad {
    /// One that was asked for, and of which nothing is known.
    pub(in crate::cli) fn unknown(function: &[u8]) -> FunctionLoad {
        let function = function.to_vec();
        FunctionLoad { function, waiting: 0, running: 0, workers: 0, known: false, told: None }
    }

    /// Jobs wait that nobody will do.
    pub(in crate::cli) fn unattended(&self) -> bool {
        self.waiting > 0 && self.workers == 0
    }

    /// How it is, in a word: the server's, or what can be said without it.
    pub(in crate::cli) fn state(&self) -> &str {
        match &self.told {
            _ if !self.known => "not known",
            Some(told) => &told.state,
            None if self.unattended() => "no worker",
            None if self.waiting > 0 => "waiting",
            None if self.running > 0 => "busy",
            None => "idle",
        }
    }

    fn oldest_ms(&self) -> u64 {
        // A number that is no time is none; others are far below the bound.
        self.told.as_ref().and_then(|told| told.oldest).map_or(0, |seconds| (seconds * 1000.0) as u64)
    }

    fn dead(&self) -> u64 {
        self.told.as_ref().map_or(0, |told| told.dead)
    }

    /// How much it is worth a look, as on the page Now: something is wrong, somebody waits, somebody works; of equals the oldest.
    fn worth(&self) -> [u64; 3] {
        let weight = match () {
            () if self.unattended() => 5,
            () if self.waiting > 0 => 4,
            () if self.dead() > 0 => 3,
            () if self.told.as_ref().is_some_and(|told| told.scheduled > 0) => 2,
            () if self.running > 0 => 1,
            () => 0,
        };
        let long = if self.told.is_some() { self.oldest_ms() } else { self.waiting };
        [weight, long.max(self.waiting), self.running]
    }
}

/// In which order functions stand: see [`in_order`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum RowOrder {
    /// Those first with which something is wrong, of these the oldest
    #[default]
    Worst,
    /// Those first whose jobs have waited longest
    Oldest,
    /// By jobs that wait
    Waiting,
    /// By jobs that run
    Running,
    /// By workers
    Workers,
    /// By jobs that come in each second
    In,
    /// By jobs that end each second
    Done,
    /// By dead jobs
    Dead,
    /// By name
    Name,
}

impl RowOrder {
    /// All of them, in the order in which they are gone through.
    #[cfg_attr(not(feature = "top"), allow(dead_code))]
    pub(in crate::cli) const ALL: [RowOrder; 9] = [
        RowOrder::Worst,
        RowOrder::Oldest,
        RowOrder::Waiting,
        RowOrder::Running,
        RowOrder::Workers,
        RowOrder::In,
        RowOrder::Done,
        RowOrder::Dead,
        RowOrder::Name,
    ];

    /// Its word.
    #[cfg_attr(not(feature = "top"), allow(dead_code))]
    pub(in crate::cli) fn word(self) -> &'static str {
        match self {
            RowOrder::Worst => "worst",
            RowOrder::Oldest => "oldest",
            RowOrder::Waiting => "waiting",
            RowOrder::Running => "running",
            RowOrder::Workers => "workers",
            RowOrder::In => "in",
            RowOrder::Done => "done",
            RowOrder::Dead => "dead",
            RowOrder::Name => "name",
        }
    }

    fn rank(self, load: &FunctionLoad) -> [u64; 3] {
        let pace = load.told.as_ref().and_then(|told| told.pace.as_ref());
        // Thousandths are fine enough to sort by.
        let pace = |of: fn(&FunctionPace) -> f64| pace.map_or(0, |pace| (of(pace) * 1000.0) as u64);
        let first = match self {
            RowOrder::Worst => return load.worth(),
            RowOrder::Oldest => load.oldest_ms(),
            RowOrder::Waiting => load.waiting,
            RowOrder::Running => load.running,
            RowOrder::Workers => load.workers,
            RowOrder::In => pace(|pace| pace.came),
            RowOrder::Done => pace(|pace| pace.done),
            RowOrder::Dead => load.dead(),
            // Of equals those come first whose names do.
            RowOrder::Name => 0,
        };
        [first, if self == RowOrder::Name { 0 } else { load.oldest_ms() }, 0]
    }
}

/// Puts rows in an order; of equals those come first whose names do.
pub(in crate::cli) fn in_order(rows: &mut [FunctionLoad], order: RowOrder) {
    rows.sort_by(|one, other| {
        (Reverse(order.rank(one)), &one.function).cmp(&(Reverse(order.rank(other)), &other.function))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    fn told(name: &str, waiting: u64, workers: u64, oldest: f64, dead: u64) -> FunctionLoad {
        let told = FunctionTold { oldest: Some(oldest), dead, ..FunctionTold::default() };
        let (function, told) = (name.as_bytes().to_vec(), Some(told));
        FunctionLoad { function, waiting, running: 0, workers, known: true, told }
    }

    #[test]
    fn what_is_wrong_comes_first_and_of_that_the_oldest() {
        let mut rows = vec![
            told("idle", 0, 1, 0.0, 0),
            told("dead", 0, 1, 0.0, 9),
            told("old", 3, 1, 900.0, 0),
            told("lost", 1, 0, 2.0, 0),
            told("young", 3, 1, 1.0, 0),
        ];
        let names = |rows: &mut Vec<FunctionLoad>, order| {
            in_order(rows, order);
            rows.iter().map(|row| String::from_utf8_lossy(&row.function).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&mut rows, RowOrder::Worst), ["lost", "old", "young", "dead", "idle"]);
        assert_eq!(names(&mut rows, RowOrder::Name), ["dead", "idle", "lost", "old", "young"]);
        assert_eq!(names(&mut rows, RowOrder::Waiting)[..2], ["old", "young"]);
        assert_eq!(names(&mut rows, RowOrder::Dead)[0], "dead");
    }

    #[test]
    fn every_order_has_its_word() {
        assert_eq!(RowOrder::ALL, RowOrder::value_variants());
        for order in RowOrder::ALL {
            let value = order.to_possible_value().unwrap();
            assert_eq!(value.get_name(), order.word());
        }
    }
}
