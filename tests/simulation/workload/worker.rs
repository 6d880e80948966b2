//! What workers do: register, grab, work, sleep; and, as some are inclined to, everything that real workers were seen
//! to do wrong.
use super::{Common, handle};
use crate::act::{Act, Function};
use crate::random::Random;
use crate::swarm::Mix;
use bytes::Bytes;
use ringgear_engine::{Reply, Work};
use ringgear_protocol::GrabKind;

/// A job that the worker believes to hold.
#[derive(Debug)]
struct Held {
    handle: Bytes,
    function: Option<Function>,
}

/// A worker, as it sees itself.
#[derive(Debug)]
pub(super) struct Worker {
    functions: Vec<Function>,
    /// Some function has a time limit: each result is followed by an ECHO, so that it is known which one was refused.
    limited: bool,
    registered: bool,
    held: Vec<Held>,
    /// Grabs that are not answered.
    grabs: u64,
    /// So many of them, the first ones, were sent before it gave up these functions.
    stale: Vec<(u64, Vec<Function>)>,
    /// It said PRE_SLEEP and was not woken since.
    asleep: bool,
    /// The last grab was answered NO_JOB.
    idle: bool,
    sleep_first: bool,
    polls: bool,
    submits: bool,
    /// Handles of jobs that it finished or lost.
    past: Vec<Bytes>,
}

impl Worker {
    pub(super) fn new(mix: &Mix, random: &mut Random) -> Worker {
        let habits = &mix.habits;
        let all = mix.functions.len() as u64;
        let functions = if random.chance(habits.versatile) {
            (0..mix.functions.len()).collect()
        } else {
            // Perhaps one of them twice.
            let count = random.between(1, habits.functions_max.min(all));
            (0..count).map(|_| random.below(all) as usize).collect()
        };
        Worker {
            limited: random.chance(habits.timeout),
            sleep_first: random.chance(habits.sleep_first),
            polls: random.chance(habits.poll),
            submits: random.chance(habits.both),
            ..Worker::keeper(functions)
        }
    }

    pub(super) fn keeper(functions: Vec<Function>) -> Worker {
        Worker {
            functions,
            limited: false,
            registered: false,
            held: Vec::new(),
            grabs: 0,
            stale: Vec::new(),
            asleep: false,
            idle: false,
            sleep_first: false,
            polls: false,
            submits: false,
            past: Vec::new(),
        }
    }

    pub(super) fn submits(&self) -> bool {
        self.submits
    }

    pub(super) fn read(&mut self, reply: &Reply, mix: &Mix, common: &mut Common) {
        match reply {
            Reply::Assigned(assignment) => {
                let function = mix.functions.iter().position(|name| name == assignment.function());
                let lost = self.answered(function);
                self.idle = false;
                let handle = handle(assignment.job);
                common.remember(&handle);
                if lost {
                    // It was lost before it came.
                    self.past.push(handle);
                } else {
                    self.held.push(Held { handle, function });
                }
            }
            Reply::NoJob => {
                self.answered(None);
                self.idle = true;
            }
            Reply::Noop => (self.asleep, self.idle) = (false, false),
            _ => {}
        }
    }

    /// A grab was answered. Whether it was sent before the function was given up.
    fn answered(&mut self, function: Option<Function>) -> bool {
        self.grabs -= 1;
        let lost = |gone: &Vec<Function>| function.is_some_and(|function| gone.contains(&function));
        let lost = self.stale.iter().any(|(_, gone)| lost(gone));
        self.stale.iter_mut().for_each(|(grabs, _)| *grabs -= 1);
        self.stale.retain(|&(grabs, _)| grabs > 0);
        lost
    }

    pub(super) fn act(&mut self, mix: &Mix, common: &mut Common, random: &mut Random) -> Vec<Act> {
        if !self.registered {
            return self.register(random);
        }
        if let Some(acts) = self.misbehave(mix, common, random) {
            return acts;
        }
        let room =
            self.held.len() as u64 + self.grabs < mix.habits.held_max && self.grabs < mix.habits.grabs_max;
        let may_work = !(self.held.is_empty() || self.limited && self.grabs > 0);
        if may_work && (!room || random.chance(600)) {
            self.work(mix, common, random)
        } else if room && !self.asleep && (!self.idle || self.polls) {
            self.grab(mix, random)
        } else if self.idle && self.grabs == 0 && !self.asleep && !self.polls {
            self.pre_sleep()
        } else if self.asleep && room && random.chance(20) {
            // It has slept long enough, as libgearman's worker does after its time-out.
            self.grab(mix, random)
        } else {
            Vec::new()
        }
    }

    /// What leads to an end: whatever is held is completed, and nothing new is begun but by the rules.
    pub(super) fn act_calmly(&mut self, common: &mut Common) -> Vec<Act> {
        if !self.registered {
            self.registered = true;
            return self.functions.iter().map(|&function| Act::CanDo(function)).collect();
        }
        if self.grabs > 0 {
            return Vec::new();
        }
        if let Some(job) = self.held.pop() {
            let result = Work::Complete(format!("calm {}", common.count()).into());
            return self.tell(job.handle, result, true, common);
        }
        match (self.asleep, self.idle) {
            (true, _) => Vec::new(),
            (false, true) => self.pre_sleep(),
            (false, false) => self.grab_once(),
        }
    }

    pub(super) fn grab_once(&mut self) -> Vec<Act> {
        (self.asleep, self.idle) = (false, false);
        self.grabs += 1;
        vec![Act::Grab(GrabKind::Unique)]
    }

    fn register(&mut self, random: &mut Random) -> Vec<Act> {
        self.registered = true;
        let limited = self.limited;
        let learn = |&function: &Function| match limited {
            true if random.chance(800) => Act::CanDoTimeout(function, *random.pick(&[0, 1, 1500, 4000])),
            _ => Act::CanDo(function),
        };
        let mut acts: Vec<Act> = self.functions.iter().map(learn).collect();
        if self.sleep_first {
            acts.extend(self.pre_sleep());
        }
        acts
    }

    fn pre_sleep(&mut self) -> Vec<Act> {
        (self.asleep, self.idle) = (true, false);
        vec![Act::PreSleep]
    }

    fn grab(&mut self, mix: &Mix, random: &mut Random) -> Vec<Act> {
        (self.asleep, self.idle) = (false, false);
        let count = random.between(1, mix.habits.grabs_max - self.grabs);
        self.grabs += count;
        let kinds = [GrabKind::Plain, GrabKind::Unique, GrabKind::All];
        (0..count).map(|_| Act::Grab(*random.pick(&kinds))).collect()
    }

    fn work(&mut self, mix: &Mix, common: &mut Common, random: &mut Random) -> Vec<Act> {
        let at = random.below(self.held.len() as u64) as usize;
        let number = common.count();
        if random.chance(mix.habits.linger) {
            let update = match random.below(3) {
                0 => Work::Data(format!("data {number}").into()),
                1 => Work::Warning(format!("warning {number}").into()),
                _ => Work::Status(format!("{number}\0{}", random.below(100)).into()),
            };
            return self.tell(self.held[at].handle.clone(), update, false, common);
        }
        let handle = self.held.remove(at).handle;
        let result = if random.chance(mix.habits.fail) {
            Work::Fail
        } else if random.chance(mix.habits.exception) {
            Work::Exception(format!("exception {number}").into())
        } else {
            Work::Complete(format!("result {number}").into())
        };
        let exception = matches!(result, Work::Exception(_));
        let mut acts = self.tell(handle.clone(), result, true, common);
        if random.chance(mix.habits.twice) && self.grabs == 0 {
            let again = if exception { Work::Fail } else { Work::Complete(format!("twice {number}").into()) };
            acts.push(Act::Work(handle, again));
            acts.push(Act::Echo(format!("fence {number}").into()));
        }
        acts
    }

    /// Sends news of a job that it holds or believes to hold.
    fn tell(&mut self, handle: Bytes, update: Work, last: bool, common: &mut Common) -> Vec<Act> {
        if last {
            self.past.push(handle.clone());
        }
        let mut acts = vec![Act::Work(handle, update)];
        if self.limited {
            acts.push(Act::Echo(format!("fence {}", common.count()).into()));
        }
        acts
    }

    /// One of the things that real workers do and should not, or seldom do.
    fn misbehave(&mut self, mix: &Mix, common: &mut Common, random: &mut Random) -> Option<Vec<Act>> {
        let habits = &mix.habits;
        let weights = [habits.late, habits.foreign, habits.unlearn, habits.learn, habits.doze, 5];
        let sum: u32 = weights.iter().sum();
        if !random.chance(sum) {
            return None;
        }
        match random.weighted(&weights)? {
            0 if self.grabs == 0 && !self.past.is_empty() => {
                Some(stray(random.pick(&self.past).clone(), common, random))
            }
            1 if self.grabs == 0 => Some(stray(common.some_handle(random), common, random)),
            2 => Some(vec![self.unlearn(mix, random)]),
            3 => {
                let function = random.below(mix.functions.len() as u64) as usize;
                self.functions.push(function);
                Some(vec![Act::CanDo(function)])
            }
            4 => {
                self.asleep = true;
                Some(vec![Act::PreSleep])
            }
            5 => Some(vec![Act::SetClientId(format!("worker{}", common.count()).into())]),
            _ => None,
        }
    }

    fn unlearn(&mut self, mix: &Mix, random: &mut Random) -> Act {
        let mut gone = self.functions.clone();
        let act = match random.below(4) {
            0 => {
                self.functions.clear();
                self.registered = false;
                Act::ResetAbilities
            }
            1 => {
                let count = random.between(0, 3);
                self.functions =
                    (0..count).map(|_| random.below(mix.functions.len() as u64) as usize).collect();
                Act::MassDo(self.functions.clone())
            }
            _ => {
                let function = random.below(mix.functions.len() as u64) as usize;
                self.functions.retain(|&other| other != function);
                gone = vec![function];
                Act::CantDo(function)
            }
        };
        if self.functions.is_empty() {
            self.functions = vec![random.below(mix.functions.len() as u64) as usize];
            self.registered = false;
        }
        if self.grabs > 0 {
            self.stale.push((self.grabs, gone.clone()));
        }
        let (lost, kept) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|job: &Held| job.function.is_some_and(|function| gone.contains(&function)));
        self.held = kept;
        self.past.extend(lost.into_iter().map(|job: Held| job.handle));
        act
    }
}

/// A result for a job that is not, or no longer, the worker's; with an ECHO behind it, so that it is known whether it
/// was refused.
fn stray(handle: Bytes, common: &mut Common, random: &mut Random) -> Vec<Act> {
    let number = common.count();
    let update = match random.below(4) {
        0 => Work::Complete(format!("stray {number}").into()),
        1 => Work::Fail,
        2 => Work::Exception(format!("stray {number}").into()),
        _ => Work::Data(format!("stray {number}").into()),
    };
    vec![Act::Work(handle, update), Act::Echo(format!("fence {number}").into())]
}
