//! A plan made concrete: every function, every client connection and the checks that outlive a phase.
//! Shared by all load threads, and unchanged but for the checks.
use std::sync::{Arc, Mutex};

use crate::job::check::Fate;
use crate::job::payload::{Job, Payloads};
use crate::job::random::{mix, of_job};
use crate::plan::choices::Abilities;
use crate::plan::groups::{Clients, FUNCTION, Workers};
use crate::plan::names::called;
use crate::plan::schedule::Timing;
use crate::plan::terms::Plan;
use crate::plan::trace::Functions;

/// Who plays in a run.
#[derive(Debug)]
pub(crate) struct Cast {
    /// The names of the phases.
    pub(crate) phases: Vec<String>,
    /// Names by function number.
    pub(crate) functions: Vec<Box<[u8]>>,
    /// All groups of clients, in the order of the plan.
    pub(crate) groups: Vec<Group>,
    /// All groups of workers, in the order of the plan.
    pub(crate) crews: Vec<Crew>,
    /// Every client connection, by its number.
    pub(crate) clients: Vec<Member>,
    /// Client connection times function, see [`crate::job::check::InOrder`].
    pub(crate) streams: usize,
    /// What became of the jobs of each client connection. A lock each: with several load threads a job may be
    /// submitted by one and taken by another.
    pub(crate) fates: Vec<Mutex<Fate>>,
    /// True if a phase reconnects, so that acknowledged jobs are kept apart from others.
    pub(crate) ledger: bool,
    /// Writes and reads payloads.
    pub(crate) payloads: Payloads,
    /// The plan's seed.
    pub(crate) seed: u64,
}

/// A group of clients.
#[derive(Debug)]
pub(crate) struct Group {
    /// The phase that it belongs to.
    pub(crate) phase: usize,
    /// What the plan says of it.
    pub(crate) plan: Clients,
    /// What an open loop keeps to.
    pub(crate) timing: Option<Timing>,
    /// The number of its first function; the others follow.
    pub(crate) first_function: u32,
    /// The number of its first connection; the others follow.
    pub(crate) first_client: u32,
}

/// A group of workers.
#[derive(Debug)]
pub(crate) struct Crew {
    /// The phase that it belongs to.
    pub(crate) phase: usize,
    /// What the plan says of it.
    pub(crate) plan: Workers,
    /// The number of its first function; the others follow.
    pub(crate) first_function: u32,
}

/// One client connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// Its group.
    pub(crate) group: u32,
    /// Its first stream.
    pub(crate) stream: u32,
}

impl Cast {
    /// Makes a plan concrete; `run` tells its jobs from those of other runs.
    pub(crate) fn new(plan: &Plan, run: u32) -> Cast {
        let mut names = Names { run, ..Names::default() };
        let (mut groups, mut crews, mut clients) = (vec![], vec![], vec![]);
        let (mut streams, mut largest) = (0, 0.0f64);
        for (phase, acts) in plan.phases.iter().enumerate() {
            for plan in &acts.clients {
                let first_function = match &plan.lines {
                    Some(lines) => names.listed(&lines.functions),
                    None => names.number(&plan.function, plan.functions),
                };
                let first_client = clients.len() as u32;
                for _ in 0..plan.count {
                    clients.push(Member { group: groups.len() as u32, stream: streams });
                    streams += plan.functions;
                }
                largest = largest.max(plan.payload.largest());
                let timing = Timing::of(plan);
                groups.push(Group { phase, plan: plan.clone(), timing, first_function, first_client });
            }
            for plan in &acts.workers {
                let first_function = match &plan.replayed {
                    Some(functions) => names.listed(functions),
                    None => names.number(&plan.function, plan.functions),
                };
                largest = largest.max(plan.result.largest());
                crews.push(Crew { phase, plan: plan.clone(), first_function });
            }
        }
        let fates = clients.iter().map(|_| Mutex::default()).collect();
        let ledger = plan.phases.iter().any(|phase| phase.reconnect);
        Cast {
            phases: plan.phases.iter().map(|phase| phase.name.clone()).collect(),
            functions: names.names,
            groups,
            crews,
            clients,
            streams: streams as usize,
            fates,
            ledger,
            payloads: Payloads::new(plan.seed, run, largest as usize),
            seed: plan.seed,
        }
    }
}

impl Cast {
    /// The function and the bytes of the workload of job `seq` of connection `conn`, which is one of `group`.
    #[inline]
    pub(crate) fn submission(&self, group: &Group, conn: u32, seq: u64) -> (u32, usize) {
        let plan = &group.plan;
        if let Some(lines) = &plan.lines {
            let what = lines.what(line(group, conn, seq));
            return (group.first_function + what.function, what.size as usize);
        }
        let bits = of_job(self.seed, conn, seq);
        let function = match plan.functions {
            1 => group.first_function,
            count => group.first_function + (bits % u64::from(count)) as u32,
        };
        (function, plan.payload.bytes(mix(bits)))
    }

    /// Nanoseconds that a job takes a worker of `crew`: those of the recorded mix that it is from, or those of the plan.
    /// `None` is a job of somebody else.
    #[inline]
    pub(crate) fn service(&self, crew: &Crew, job: Option<&Job>) -> u64 {
        let Some(job) = job else { return (crew.plan.service.draw(0) * 1e6) as u64 };
        let group = self.clients.get(job.conn as usize).map(|member| &self.groups[member.group as usize]);
        if let Some((group, lines)) = group.and_then(|group| Some((group, group.plan.lines.as_ref()?))) {
            return u64::from(lines.what(line(group, job.conn, job.seq)).service) * 1000;
        }
        (crew.plan.service.draw(of_job(mix(self.seed), job.conn, job.seq)) * 1e6) as u64
    }

    /// What a group is called in the figures of a phase.
    pub(crate) fn called(&self, group: &Group, phase: usize) -> String {
        called(&group.plan.name, &self.phases[group.phase], group.phase == phase)
    }
}

/// The line of a recorded mix that job `seq` of a connection of `group` is: they are dealt in turn.
#[inline]
fn line(group: &Group, conn: u32, seq: u64) -> usize {
    (u64::from(conn - group.first_client) + seq * u64::from(group.plan.count)) as usize
}

impl Crew {
    /// The functions that worker `index` of the group registers.
    pub(crate) fn abilities(&self, index: u32) -> Vec<u32> {
        let Workers { count, functions, .. } = self.plan;
        let (first, step) = match self.plan.abilities {
            Abilities::All => (0, functions),
            Abilities::Split => {
                let first = u64::from(index) * u64::from(functions) / u64::from(count);
                let end = (u64::from(index) + 1) * u64::from(functions) / u64::from(count);
                (first as u32, (end - first).max(1) as u32)
            }
            // Neighbours begin half of their number apart, so that most functions have two workers at least.
            Abilities::Some(number) => (index * (number / 2).max(1), number.min(functions)),
        };
        (first..first + step).map(|at| self.first_function + at % functions).collect()
    }
}

/// Functions by name.
#[derive(Default)]
struct Names {
    names: Vec<Box<[u8]>>,
    /// Name, how many there are, the number of the first.
    families: Vec<(String, u32, u32)>,
    /// Functions of recorded mixes, and the number of the first of each.
    lists: Vec<(Arc<Functions>, u32)>,
    /// The run's number.
    run: u32,
}

impl Names {
    fn listed(&mut self, functions: &Arc<Functions>) -> u32 {
        if let Some((_, first)) = self.lists.iter().find(|(known, _)| known == functions) {
            return *first;
        }
        let first = self.names.len() as u32;
        let run = self.run;
        let whole = |name: &String| match functions.as_named {
            true => name.clone(),
            false => format!("{FUNCTION}-{run:08x}-{name}"),
        };
        self.names.extend(functions.names.iter().map(|name| whole(name).into_bytes().into()));
        self.lists.push((Arc::clone(functions), first));
        first
    }

    fn number(&mut self, name: &str, count: u32) -> u32 {
        let known = self.families.iter().find(|(known, of, _)| known == name && *of == count);
        if let Some((_, _, first)) = known {
            return *first;
        }
        let first = self.names.len() as u32;
        let whole = if name == FUNCTION { format!("{name}-{:08x}", self.run) } else { name.to_owned() };
        match count {
            1 => self.names.push(whole.into_bytes().into()),
            _ => self.names.extend((0..count).map(|at| format!("{whole}-{at}").into_bytes().into())),
        }
        self.families.push((name.to_owned(), count, first));
        first
    }
}
