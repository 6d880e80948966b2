//! What a seed draws before anything happens: shards, policy, functions, and how peers are inclined to behave.
//! Each seed has its own mix, so that rare things are common in some worlds (swarm testing).
use crate::random::Random;
use bytes::Bytes;
use ringgear_engine::{Compat, HandlePrefix, Planted, Policy, Topology, Wakeup};
use std::num::NonZeroU8;
use std::time::Duration;

/// What handles begin with, here.
pub(crate) const PREFIX: &[u8] = b"H:sim";

/// How often each kind of step is taken, relative to the others.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(crate) act: u32,
    pub(crate) deliver: u32,
    pub(crate) tick: u32,
    pub(crate) pass: u32,
    pub(crate) settle: u32,
    pub(crate) open: u32,
    pub(crate) close: u32,
    pub(crate) finish: u32,
    pub(crate) set_clock: u32,
    /// Of the store: a batch, an answer. And the power goes.
    pub(crate) commit: u32,
    pub(crate) answer: u32,
    pub(crate) restart: u32,
    /// A peer reads what it was sent of a report.
    pub(crate) room: u32,
    /// It hangs, and goes on.
    pub(crate) hang: u32,
    pub(crate) go_on: u32,
}

/// How clients submit.
#[derive(Clone, Debug)]
pub(crate) struct Submitting {
    /// Weights of an empty unique, `-`, one of a small pool, a fresh one of 64 bytes, one that is too long.
    pub(crate) uniques: [u32; 5],
    /// Uniques in the pool, and workloads for `-`.
    pub(crate) pool: u64,
    /// Weights of high, normal, low.
    pub(crate) priorities: [u32; 3],
    /// Per mille, like all inclinations.
    pub(crate) background: u32,
    pub(crate) epoch: u32,
    pub(crate) reduce: u32,
    pub(crate) workload_max: u64,
    /// The most submissions at once.
    pub(crate) burst: u64,
    /// Of acts: something is done at all. Where clients are lazy, workers sleep.
    pub(crate) eager: u32,
}

/// How workers are inclined to behave, per mille of their acts.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// Of registrations: with a time limit.
    pub(crate) timeout: u32,
    /// Of workers: PRE_SLEEP before the first GRAB_JOB.
    pub(crate) sleep_first: u32,
    /// Of workers: never sleep.
    pub(crate) poll: u32,
    /// Of workers: submit as well.
    pub(crate) both: u32,
    /// The most grabs that wait for an answer, and the most jobs held.
    pub(crate) grabs_max: u64,
    pub(crate) held_max: u64,
    /// The most functions of one worker; and of workers: know them all.
    pub(crate) functions_max: u64,
    pub(crate) versatile: u32,
    /// Of acts with a job: it goes on.
    pub(crate) linger: u32,
    /// Of results: sent twice, or WORK_FAIL after WORK_EXCEPTION, or once more much later.
    pub(crate) twice: u32,
    pub(crate) late: u32,
    pub(crate) fail: u32,
    pub(crate) exception: u32,
    /// Of acts: results for jobs of others or of nobody.
    pub(crate) foreign: u32,
    /// Of acts: CANT_DO, RESET_ABILITIES, MASS_DO, CAN_DO again.
    pub(crate) unlearn: u32,
    pub(crate) learn: u32,
    /// Of acts: PRE_SLEEP though there is no reason.
    pub(crate) doze: u32,
    /// Of acts: replies are not read.
    pub(crate) slow_reader: u32,
}

/// The mix of one world.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    pub(crate) shards: u16,
    /// Homes without functions, behind the shards.
    pub(crate) guests: u16,
    pub(crate) policy: Policy,
    /// The most messages in a channel.
    pub(crate) capacity: usize,
    pub(crate) functions: Vec<Bytes>,
    pub(crate) clients: u64,
    pub(crate) workers: u64,
    pub(crate) admins: u64,
    pub(crate) weights: Weights,
    pub(crate) submitting: Submitting,
    pub(crate) habits: Habits,
    /// Per mille of an admin's acts: orders that change something.
    pub(crate) orders: u32,
    /// Per mille of these: pauses, and their ends.
    pub(crate) pauses: u32,
    /// Per mille of the store's batches, and of the puts in the others.
    pub(crate) store_fails: u32,
    pub(crate) store_refuses: u32,
    /// With more than so much waiting for the store, a shard is told that it is full.
    pub(crate) storing_max: usize,
    /// Per mille of the steps in which the store was asked for something: the power goes right then.
    pub(crate) crashes: u32,
}

impl Mix {
    /// Who is there, while there are so many shards.
    pub(crate) fn topology(&self) -> Topology {
        Topology::new(self.shards).with_guests(self.guests)
    }

    pub(crate) fn draw(random: &mut Random, planted: Option<Planted>) -> Mix {
        let shards = if random.chance(250) { 1 } else { random.between(2, 7) as u16 };
        let mut mix = Mix::of_shards(shards, random, planted);
        // Drawn by the seed of the hash tables: worlds without guests are as they were before there were any.
        mix.guests = [0, 0, 0, 1, 2][(mix.policy.hash_seed / 64 % 5) as usize];
        if mix.guests > 0 && mix.weights.deliver == 0 {
            mix.weights.deliver = 150;
        }
        if planted == Some(Planted::ForgetsWhoWasWoken) {
            // It shows only among sleepers of whom each job wakes one, and who know functions of several shards.
            mix.shards = shards.max(2);
            mix.policy.wakeup = Wakeup::AtMost(NonZeroU8::MIN);
            (mix.workers, mix.habits.versatile, mix.habits.poll) = (8, 500, 0);
            mix.guests = 0;
        }
        if planted == Some(Planted::DoneBeforePut) {
            // It shows only if the power goes between the two, and jobs die seldom.
            (mix.policy.store, mix.policy.attempts, mix.policy.dead_jobs) = (true, NonZeroU8::new(1), 10_000);
            (mix.crashes, mix.submitting.background, mix.orders) = (100, 500, 0);
        }
        mix
    }

    fn of_shards(shards: u16, random: &mut Random, planted: Option<Planted>) -> Mix {
        Mix {
            shards,
            guests: 0,
            policy: policy(random, planted),
            capacity: *random.pick(&[1, 2, 3, 8, 64, usize::MAX]),
            functions: functions(random),
            clients: random.between(1, 6),
            workers: random.between(1, 8),
            admins: random.between(0, 2),
            weights: weights(random, shards),
            submitting: submitting(random),
            habits: habits(random),
            orders: *random.pick(&[0, 50, 300]),
            pauses: *random.pick(&[0, 0, 300]),
            store_fails: *random.pick(&[0, 0, 0, 50, 400]),
            store_refuses: *random.pick(&[0, 0, 0, 100, 400]),
            storing_max: *random.pick(&[1, 4, usize::MAX, usize::MAX]),
            crashes: *random.pick(&[0, 5, 20, 100]),
        }
    }
}

fn policy(random: &mut Random, planted: Option<Planted>) -> Policy {
    let prefix = HandlePrefix::new(PREFIX).expect("a short prefix");
    let attempts = NonZeroU8::new(*random.pick(&[0, 0, 0, 1, 2, 3]));
    let most = NonZeroU8::new(random.between(1, 3) as u8).expect("not zero");
    let wakeup = match random.below(5) {
        0 => Wakeup::All,
        1 | 2 => Wakeup::AtMost(most),
        _ => Wakeup::Paced,
    };
    let mut policy = Policy {
        compat: *random.pick(&[Compat::V1_1, Compat::V2_0, Compat::V2_1, Compat::V2_2]),
        round_robin: random.chance(300),
        attempts,
        wakeup,
        wake_patience: Duration::from_millis(*random.pick(&[1, 50, 2000])),
        exceptions: random.chance(200),
        hash_seed: random.next(),
        requests_in_flight: *random.pick(&[1, 2, 3, 8, 4096]),
        outbox_bytes: *random.pick(&[0, 200, 2000, 20_000, 8 << 20]),
        abilities: *random.pick(&[3, 1 << 17, 1 << 17, 1 << 17]),
        queued_bytes: *random.pick(&[6000, u64::MAX, u64::MAX, u64::MAX]),
        finished_memory: *random.pick(&[0, 1, 2, 16, 16, 16]),
        note_accepted: random.chance(200),
        store: random.chance(400),
        store_timeout: Duration::from_millis(*random.pick(&[1, 200, 5000, 5000])),
        dead_jobs: *random.pick(&[0, 1, 4, 10_000, 10_000]),
        work_at_once: *random.pick(&[1, 2, 1024, 1024]),
        dead_bytes: *random.pick(&[500, 3000, 1 << 30, 1 << 30]),
        planted,
        ..Policy::new(prefix)
    };
    policy.waiting_bytes = [0, 200, 16 << 20, 16 << 20][policy.hash_seed as usize / 4 % 4];
    policy.names_at_once = [1, 2, 256, 256][policy.hash_seed as usize % 4];
    policy.rows_at_once = [1, 2, 5, 256][policy.hash_seed as usize / 4 % 4];
    policy
}

/// Names of all kinds. Two differ in case only; one is empty.
fn functions(random: &mut Random) -> Vec<Bytes> {
    let count = *random.pick(&[1, 1, 2, 3, 12, 23]) as usize;
    let mut names: Vec<Bytes> = vec!["resize".into(), "Resize".into(), "".into()];
    names.extend((0..20).map(|number| Bytes::from(format!("f{number}"))));
    // Any order: the owners of neighbours are to differ from seed to seed.
    for at in (1..names.len()).rev() {
        names.swap(at, random.below(at as u64 + 1) as usize);
    }
    names.truncate(count);
    names
}

fn weights(random: &mut Random, shards: u16) -> Weights {
    // From a mesh that is all but idle to one where messages pile up.
    let eager = *random.pick(&[20, 60, 150, 400, 1000]);
    Weights {
        act: 100,
        deliver: if shards == 1 { 0 } else { eager },
        tick: 20,
        pass: *random.pick(&[2, 10, 40]),
        settle: *random.pick(&[0, 2, 20, 100]),
        open: *random.pick(&[1, 5]),
        close: *random.pick(&[0, 1, 4, 12]),
        finish: *random.pick(&[0, 0, 1, 4]),
        set_clock: *random.pick(&[0, 0, 0, 2]),
        commit: *random.pick(&[5, 30, 200]),
        answer: *random.pick(&[5, 30, 200]),
        restart: *random.pick(&[0, 1, 1, 4]),
        room: *random.pick(&[3, 30, 300]),
        hang: *random.pick(&[0, 0, 2, 10]),
        go_on: *random.pick(&[1, 5, 20]),
    }
}

fn submitting(random: &mut Random) -> Submitting {
    let some = |random: &mut Random| random.between(0, 3) as u32;
    let mut uniques = [0; 5].map(|_: u32| some(random));
    uniques[2] += 1;
    uniques[4] = u32::from(uniques[4] == 3);
    let mut priorities = [0; 3].map(|_: u32| some(random));
    priorities[1] += 1;
    Submitting {
        uniques,
        pool: random.between(1, 8),
        priorities,
        background: *random.pick(&[0, 200, 500, 1000]),
        epoch: *random.pick(&[0, 0, 50, 300]),
        reduce: *random.pick(&[0, 100]),
        workload_max: *random.pick(&[10, 40, 400]),
        burst: *random.pick(&[1, 1, 3, 10]),
        eager: *random.pick(&[1000, 300, 100, 30]),
    }
}

fn habits(random: &mut Random) -> Habits {
    // Half of the worlds have only well-behaved workers in one respect or another.
    let at_times = |random: &mut Random, most: u32| if random.chance(500) { 0 } else { most };
    Habits {
        timeout: at_times(random, 300),
        sleep_first: *random.pick(&[0, 300, 1000]),
        poll: *random.pick(&[0, 0, 300]),
        both: at_times(random, 300),
        grabs_max: *random.pick(&[1, 1, 2, 5]),
        held_max: *random.pick(&[1, 1, 3, 8]),
        functions_max: *random.pick(&[1, 2, 3, 6, 12]),
        versatile: *random.pick(&[0, 0, 300, 1000]),
        linger: *random.pick(&[0, 300, 700, 950]),
        twice: at_times(random, 100),
        late: at_times(random, 50),
        fail: *random.pick(&[0, 100]),
        exception: *random.pick(&[0, 100]),
        foreign: at_times(random, 30),
        unlearn: at_times(random, 20),
        learn: at_times(random, 20),
        doze: at_times(random, 30),
        slow_reader: *random.pick(&[0, 0, 500, 900]),
    }
}
