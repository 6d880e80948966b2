//! Deliberate bugs of servers that share a store, to prove that their worlds see them.
use super::sharing::PlantedShare;
use ringgear_engine::Planted;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// A batch is written whoever has the server's rows.
    NoFence,
    /// A unique that ends and comes again in one batch meets its own old row.
    PutsBeforeDeletes,
    /// The lease begins when a beat is answered.
    LeaseFromAnswer,
    /// A gap in the looks does not start the count again.
    GapNotReset,
    /// What a dead server had taken over itself is not read.
    TakenNotTransitive,
    /// Each server numbers its jobs by its clock.
    NumbersFromClock,
    /// A put that meets another job counts as kept.
    ExceptionsIgnored,
    /// Nobody looks what a failover has lost.
    NoReconcile,
    /// A server is taken over whatever it has done since it was looked at.
    UnfencedTakeOver,
    /// A commit without an answer counts as none.
    UnknownIsFailed,
    /// Others are told that they may have what waits before that is forgotten.
    LeavesBeforeForgetting,
    /// One of the engine's.
    Engine(Planted),
}

impl Plant {
    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Plant> {
        use Plant::*;
        let own = [
            NoFence,
            PutsBeforeDeletes,
            LeaseFromAnswer,
            GapNotReset,
            TakenNotTransitive,
            NumbersFromClock,
            ExceptionsIgnored,
            NoReconcile,
            UnfencedTakeOver,
            UnknownIsFailed,
            LeavesBeforeForgetting,
        ];
        own.into_iter().chain(Planted::SHARED.into_iter().map(Engine))
    }

    /// What [`super::sharing::Sharing`] is to do wrong.
    pub(super) fn of_sharing(self) -> Option<PlantedShare> {
        match self {
            Plant::LeaseFromAnswer => Some(PlantedShare::LeaseFromAnswer),
            Plant::GapNotReset => Some(PlantedShare::GapNotReset),
            _ => None,
        }
    }

    /// What the engine is to do wrong.
    pub(super) fn of_engine(self) -> Option<Planted> {
        if let Plant::Engine(planted) = self { Some(planted) } else { None }
    }
}
