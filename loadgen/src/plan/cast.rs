//! A plan made concrete: every function, every client connection and the checks that outlive a phase.
//! Shared by all load threads, and unchanged but for the checks.
use std::sync::{Arc, Mutex};

use crate::job::check::Delivered;
use crate::job::payload::Payloads;
use crate::plan::names::called;
use crate::plan::rate::Curve;
use crate::plan::terms::{Abilities, Clients, FUNCTION, Plan, Workers};

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
    /// Client connection times function, see [`crate::job::check::Order`].
    pub(crate) streams: usize,
    /// Which jobs were delivered, by client connection. A lock each: with several load threads a job may be
    /// submitted by one and taken by another.
    pub(crate) delivered: Vec<Mutex<Delivered>>,
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
    /// Its rate, in an open loop.
    pub(crate) curve: Option<Arc<Curve>>,
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
                let first_function = names.number(&plan.function, plan.functions);
                let first_client = clients.len() as u32;
                for _ in 0..plan.count {
                    clients.push(Member { group: groups.len() as u32, stream: streams });
                    streams += plan.functions;
                }
                largest = largest.max(plan.payload.largest());
                let curve = plan.rate.as_ref().map(|rate| Arc::new(Curve::new(rate)));
                groups.push(Group { phase, plan: plan.clone(), curve, first_function, first_client });
            }
            for plan in &acts.workers {
                let first_function = names.number(&plan.function, plan.functions);
                largest = largest.max(plan.result.largest());
                crews.push(Crew { phase, plan: plan.clone(), first_function });
            }
        }
        let delivered = clients.iter().map(|_| Mutex::default()).collect();
        Cast {
            phases: plan.phases.iter().map(|phase| phase.name.clone()).collect(),
            functions: names.names,
            groups,
            crews,
            clients,
            streams: streams as usize,
            delivered,
            payloads: Payloads::new(plan.seed, run, largest as usize),
            seed: plan.seed,
        }
    }
}

impl Cast {
    /// What a group is called in the figures of a phase.
    pub(crate) fn called(&self, group: &Group, phase: usize) -> String {
        called(&group.plan.name, &self.phases[group.phase], group.phase == phase)
    }
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
    /// The run's number.
    run: u32,
}

impl Names {
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
