//! A look at all functions, of which there may be very many: a step of one shard at a time, and of their rows only those come here that are
//! wanted. What is found is a value; for how long it is good is said by who asks.
use super::home::Observer;
use super::overview::BestRows;
use crate::engine::outline::{FunctionFilter, FunctionSums, OutlineAsk};
use crate::engine::report::FunctionNumbers;
use crate::engine::stats::FunctionStats;
use crate::engine::{Query, Report, ShardId};
use bytes::Bytes;
use std::rc::Rc;
use std::sync::Arc;

/// Which functions are looked for.
pub(super) struct FunctionSearch {
    /// What is to be found in their names, in any case.
    pub(super) needle: Bytes,
    pub(super) only: FunctionFilter,
    /// By name; these come here whatever their rank.
    pub(super) named: Arc<[Bytes]>,
}

/// What was found.
pub(super) struct FunctionsFound {
    /// Over all that are meant.
    pub(super) sums: FunctionSums,
    /// What is counted of these, and of those together that have no counts of their own.
    pub(super) counted: FunctionStats,
    /// The best, for each that was asked for.
    pub(super) best: Vec<Vec<FunctionNumbers>>,
}

/// Looks at all functions of so many shards. Only in one's turn.
pub(super) async fn look(
    observer: &Rc<Observer>,
    shards: usize,
    search: &FunctionSearch,
    mut best: Vec<BestRows>,
) -> FunctionsFound {
    let (mut sums, mut counted) = (FunctionSums::default(), FunctionStats::default());
    for owner in (0..).map(ShardId).take(shards) {
        let mut after = None;
        loop {
            let ask = OutlineAsk {
                owner,
                after,
                needle: search.needle.clone(),
                only: search.only,
                best: best.iter_mut().map(BestRows::wanted).collect(),
                named: search.named.clone(),
            };
            let mut answer = observer.ask(Query::Outline(Box::new(ask)), None);
            let Some(Report::Outline(page)) = answer.next().await else { break };
            sums.merge(&page.sums);
            counted.merge(&page.counted);
            for row in &page.rows {
                let is_named = search.named.binary_search(&row.function).is_ok();
                best.iter_mut().for_each(|best| best.offer(row, is_named));
            }
            after = page.until;
            if after.is_none() {
                break;
            }
        }
    }
    FunctionsFound { sums, counted, best: best.into_iter().map(BestRows::best).collect() }
}
