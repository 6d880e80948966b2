//! What administrators do: ask, and give orders.
use super::Common;
use crate::act::Act;
use crate::random::Random;
use crate::swarm::Mix;
use bytes::Bytes;
use ringgear_engine::outline::{FunctionBest, FunctionFilter, FunctionSort, OutlineAsk};
use ringgear_engine::report::Pause;
use ringgear_engine::{Epoch, Order, Query, ShardId};

pub(super) fn act(mix: &Mix, common: &mut Common, random: &mut Random) -> Act {
    if random.chance(mix.orders) {
        return Act::Ask(order(mix, common, random).into());
    }
    match random.below(9) {
        8 => Act::Ask(Query::DeadJobs.into()),
        0 => Act::Ask(Query::Status.into()),
        1 => match random.below(6) {
            0 => Act::Ask(Query::Numbers.into()),
            1 => Act::Ask(Query::Pauses.into()),
            2 => Act::Ask(Query::FunctionWorkers { function: random.pick(&mix.functions).clone() }.into()),
            3 => Act::Ask(Query::Job { handle: common.some_handle(random) }.into()),
            4 => Act::Ask(Query::Outline(Box::new(outline())).into()),
            _ => Act::Ask(Query::PriorityStatus.into()),
        },
        2 => Act::Ask(Query::Workers.into()),
        3 => Act::Ask(Query::Jobs.into()),
        4 => Act::Ask(Query::UniqueJobs.into()),
        5 => Act::Ask(Query::Counters.into()),
        6 => Act::GetStatus(common.some_handle(random)),
        _ => Act::Answer(format!("OK {}", common.count()).into()),
    }
}

/// Everything of the first owner, as far as one step tells it.
fn outline() -> OutlineAsk {
    OutlineAsk {
        owner: ShardId(0),
        after: None,
        needle: Bytes::new(),
        only: FunctionFilter::All,
        best: vec![FunctionBest { sort: FunctionSort::Worst, least: None }],
        named: [].into(),
    }
}

fn order(mix: &Mix, common: &mut Common, random: &mut Random) -> Order {
    let function = random.pick(&mix.functions).clone();
    if random.chance(mix.pauses) {
        return pause(function, random);
    }
    match random.below(6) {
        0 => {
            let limits = [0; 3].map(|_| *random.pick(&[0, 0, 1, 3, 10]));
            Order::MaxQueue { function, limits }
        }
        1 => Order::CreateFunction { function },
        2 => {
            // Case does not count if there is no function of just this name.
            let shouted = random.chance(300);
            Order::DropFunction {
                function: if shouted { function.to_ascii_uppercase().into() } else { function },
            }
        }
        _ => Order::CancelJob { handle: common.some_handle(random) },
    }
}

fn pause(function: Bytes, random: &mut Random) -> Order {
    if random.chance(500) {
        return Order::Resume { function };
    }
    let until = random.chance(300).then(|| Epoch(random.below(1 << 42)));
    let pause = Pause { since: Epoch(0), until, reason: Bytes::new(), by: Bytes::from_static(b"admin") };
    Order::Pause { function, pause: Box::new(pause) }
}
