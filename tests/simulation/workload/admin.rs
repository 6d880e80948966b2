//! What administrators do: ask, and give orders.
use super::Common;
use crate::act::Act;
use crate::random::Random;
use crate::swarm::Mix;
use ringgear_engine::Query;

pub(super) fn act(mix: &Mix, common: &mut Common, random: &mut Random) -> Act {
    if random.chance(mix.orders) {
        return Act::Query(order(mix, common, random));
    }
    match random.below(9) {
        8 => Act::Query(Query::DeadJobs),
        0 => Act::Query(Query::Status),
        1 => Act::Query(Query::PriorityStatus),
        2 => Act::Query(Query::Workers),
        3 => Act::Query(Query::Jobs),
        4 => Act::Query(Query::UniqueJobs),
        5 => Act::Query(Query::Counters),
        6 => Act::GetStatus(common.some_handle(random)),
        _ => Act::Answer(format!("OK {}", common.count()).into()),
    }
}

fn order(mix: &Mix, common: &mut Common, random: &mut Random) -> Query {
    let function = random.pick(&mix.functions).clone();
    match random.below(6) {
        0 => {
            let limits = [0; 3].map(|_| *random.pick(&[0, 0, 1, 3, 10]));
            Query::MaxQueue { function, limits }
        }
        1 => Query::CreateFunction { function },
        2 => {
            // Case does not count if there is no function of just this name.
            let shouted = random.chance(300);
            Query::DropFunction {
                function: if shouted { function.to_ascii_uppercase().into() } else { function },
            }
        }
        _ => Query::CancelJob { handle: common.some_handle(random) },
    }
}
