//! What clients do: submit, and ask.
use super::Common;
use crate::act::{Act, Submission};
use crate::random::Random;
use crate::swarm::Mix;
use bytes::Bytes;
use ringgear_engine::Now;
use ringgear_protocol::Priority;

pub(super) fn act(mix: &Mix, now: Now, common: &mut Common, random: &mut Random) -> Vec<Act> {
    if !random.chance(mix.submitting.eager) {
        return Vec::new();
    }
    let what = random.weighted(&[if common.crowded { 0 } else { 800 }, 80, 40, 30, 20, 20, 3]);
    match what.expect("some have weight") {
        0 => {
            let count = random.between(1, mix.submitting.burst);
            (0..count).map(|_| Act::Submit(submission(mix, now, common, random))).collect()
        }
        1 => vec![Act::GetStatus(common.some_handle(random))],
        2 => vec![Act::GetStatusUnique(some_unique(mix, random))],
        3 => vec![Act::Echo(format!("echo {}", common.count()).into())],
        4 => vec![Act::Option(Bytes::from(*random.pick(&["exceptions", "Exceptions", "streaming"])))],
        5 => vec![Act::Answer(format!("answer {}", common.count()).into())],
        // To this gearmand gives no answer but a closed connection.
        _ => vec![Act::GetStatus("H:sim:".repeat(11).into()), Act::Echo("too late".into())],
    }
}

fn some_unique(mix: &Mix, random: &mut Random) -> Bytes {
    match random.below(8) {
        0 => Bytes::from_static(b"-"),
        1 => Bytes::new(),
        _ => pooled(mix, random),
    }
}

fn pooled(mix: &Mix, random: &mut Random) -> Bytes {
    format!("u{}", random.below(mix.submitting.pool)).into()
}

fn submission(mix: &Mix, now: Now, common: &mut Common, random: &mut Random) -> Submission {
    let habits = &mix.submitting;
    let count = common.count();
    let fresh = |random: &mut Random| {
        let padding = "x".repeat(random.below(habits.workload_max) as usize);
        Bytes::from(format!("w{count} {padding}"))
    };
    let (unique, workload) = match random.weighted(&habits.uniques).expect("the pool has weight") {
        0 => (Bytes::new(), fresh(random)),
        // Its workload is what may be alike.
        1 if random.chance(50) => ("-".into(), Bytes::new()),
        1 => ("-".into(), format!("same {}", random.below(habits.pool)).into()),
        2 => (pooled(mix, random), fresh(random)),
        3 => (format!("{:064}", random.below(habits.pool)).into(), fresh(random)),
        _ => (format!("{:065}", random.below(habits.pool)).into(), fresh(random)),
    };
    let epoch = random
        .chance(habits.epoch)
        .then(|| now.epoch.0 / 1000 + random.below(7))
        .map(|at| at.saturating_sub(2));
    let reducer = (epoch.is_none() && random.chance(habits.reduce)).then(|| Bytes::from_static(b"sum"));
    let plain = epoch.is_none() && reducer.is_none();
    let priority = Priority::ALL[random.weighted(&habits.priorities).expect("normal has weight")];
    Submission {
        function: random.below(mix.functions.len() as u64) as usize,
        unique,
        workload,
        // The protocol has no others with a time or a reducer.
        priority: if plain { priority } else { Priority::Normal },
        background: epoch.is_some() || random.chance(habits.background),
        epoch,
        reducer,
    }
}
