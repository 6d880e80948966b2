//! A disk in memory that loses what was not synced: sectors and names, any of them, and fails when it is told to. The
//! log's shipped code runs on it.
use ringgear::store::log::Disk;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A generator of numbers that look random (splitmix64).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// EIO. A sync that fails leaves what it was to sync in memory, and forgets that it is not on the disk.
    Io,
    /// A write that writes less than it should; other calls fail.
    Short,
    /// ENOSPC.
    Full,
}

/// What of the things that were not synced is on the disk after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Only the process died: everything is there, and still not on the disk.
    Process,
    /// Nothing of it.
    Nothing,
    /// Everything.
    Everything,
    /// Some sectors and the first few names.
    Some(u64),
}

#[derive(Clone, Debug, Default)]
struct File {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors whose live bytes are not durable.
    dirty: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum NameOp {
    Is(String, usize),
    Rename(String, String),
    Remove(String),
}

/// Files, and what is known of them after a crash.
#[derive(Clone, Debug)]
pub(crate) struct World {
    sector: usize,
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_ops: Vec<NameOp>,
    clock: Duration,
    random: Random,
    /// Bytes of all files at the most.
    pub(crate) capacity: Option<u64>,
    /// Calls so far that change something or sync.
    pub(crate) calls: u64,
    /// What goes wrong at which call.
    pub(crate) fault: Option<(u64, Fault)>,
    /// From which call on the machine is gone.
    pub(crate) gone_at: Option<u64>,
    /// Whether it gives files space that is not written.
    pub(crate) allocates: bool,
    /// Bytes written so far.
    pub(crate) written: u64,
    /// Bytes read so far.
    pub(crate) read: u64,
    /// Bytes of a file that cannot be read: every read that touches one fails.
    pub(crate) unreadable: Option<(String, std::ops::Range<u64>)>,
    /// So many reads fail, from now on, and then no more.
    pub(crate) flaky: u64,
}

fn apply(names: &mut BTreeMap<String, usize>, op: &NameOp) {
    match op {
        NameOp::Is(name, file) => {
            names.insert(name.clone(), *file);
        }
        NameOp::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        NameOp::Remove(name) => {
            names.remove(name);
        }
    }
}

impl World {
    pub(crate) fn new(sector: usize) -> World {
        World {
            sector,
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_ops: Vec::new(),
            clock: Duration::ZERO,
            random: Random(7),
            capacity: None,
            calls: 0,
            fault: None,
            gone_at: None,
            allocates: true,
            written: 0,
            read: 0,
            unreadable: None,
            flaky: 0,
        }
    }

    /// Whether a crash could lose something.
    pub(crate) fn has_pending(&self) -> bool {
        !self.name_ops.is_empty() || self.names.values().any(|&file| !self.files[file].dirty.is_empty())
    }

    /// What is there after a crash.
    pub(crate) fn crashed(&self, crash: Crash) -> World {
        let mut world = self.clone();
        world.fault = None;
        world.gone_at = None;
        world.unreadable = None;
        world.flaky = 0;
        world.calls = 0;
        if crash == Crash::Process {
            return world;
        }
        let mut random = match crash {
            Crash::Some(seed) => Some(Random(seed)),
            _ => None,
        };
        let names = match (crash, &mut random) {
            (Crash::Everything, _) => world.name_ops.len(),
            (_, Some(random)) => random.below(world.name_ops.len() + 1),
            _ => 0,
        };
        for op in world.name_ops.drain(..).take(names) {
            apply(&mut world.durable_names, &op);
        }
        world.names = world.durable_names.clone();
        for file in &mut world.files {
            // Few, half or most of them.
            let share = random.as_mut().map_or(0, |random| random.below(4));
            for &sector in &file.dirty {
                let kept = match &mut random {
                    Some(random) => random.below(4) <= share,
                    None => crash == Crash::Everything,
                };
                if kept {
                    let begin = sector * world.sector;
                    let end = (begin + world.sector).min(file.live.len());
                    if file.durable.len() < end {
                        file.durable.resize(end, 0);
                    }
                    file.durable[begin..end].copy_from_slice(&file.live[begin..end]);
                }
            }
            file.dirty.clear();
            file.live.clone_from(&file.durable);
        }
        world
    }

    /// The bytes of a file, for damage.
    pub(crate) fn bytes(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.files[self.names[name]].live
    }

    /// Names of files.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    /// Gives a file to a name, or takes it away.
    pub(crate) fn set(&mut self, name: &str, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(live) => {
                self.files.push(File { durable: live.clone(), live, ..File::default() });
                self.names.insert(name.to_owned(), self.files.len() - 1);
            }
            None => {
                self.names.remove(name);
            }
        }
        self.durable_names = self.names.clone();
    }

    /// A disk on which another log is made.
    pub(crate) fn another() -> World {
        World { random: Random(8), ..World::new(512) }
    }

    /// Whether the same files hold the same.
    pub(crate) fn same(&self, other: &World) -> bool {
        self.names.len() == other.names.len()
            && self.names.iter().all(|(name, &file)| {
                let there = other.names.get(name);
                there.is_some_and(|&there| other.files[there].live == self.files[file].live)
            })
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.clock += time;
    }

    fn size(&self) -> u64 {
        self.names.values().map(|&file| self.files[file].live.len() as u64).sum()
    }
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct Sim(Arc<Mutex<Machine>>);

#[derive(Debug)]
struct Machine {
    world: World,
    /// The world after each call, and what was going on; if wanted.
    past: Option<Vec<(usize, World)>>,
    step: usize,
}

impl Sim {
    pub(crate) fn new(world: World) -> Sim {
        Sim(Arc::new(Mutex::new(Machine { world, past: None, step: 0 })))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap()
    }

    /// From now on every state is remembered.
    pub(crate) fn remember(&self) {
        self.machine().past = Some(Vec::new());
    }

    /// What the states from now on belong to.
    pub(crate) fn step(&self, step: usize) {
        self.machine().step = step;
    }

    /// What was remembered.
    pub(crate) fn past(&self) -> Vec<(usize, World)> {
        self.machine().past.take().unwrap_or_default()
    }

    pub(crate) fn world(&self) -> World {
        self.machine().world.clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.machine().world);
    }
}

impl Machine {
    fn call(&mut self) -> io::Result<Option<Fault>> {
        let world = &mut self.world;
        if world.gone_at.is_some_and(|at| world.calls >= at) {
            return Err(io::Error::other("the machine is gone"));
        }
        world.calls += 1;
        Ok(match world.fault {
            Some((at, fault)) if at == world.calls => Some(fault),
            _ => None,
        })
    }

    fn remember(&mut self) {
        if let Some(past) = &mut self.past {
            past.push((self.step, self.world.clone()));
        }
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        let file = *self.world.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(&mut self.world.files[file])
    }

    fn name_op(&mut self, op: NameOp) -> io::Result<()> {
        let fault = self.call()?;
        if let Some(fault) = fault {
            return Err(error(fault));
        }
        apply(&mut self.world.names, &op);
        self.world.name_ops.push(op);
        self.remember();
        Ok(())
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Full => io::ErrorKind::StorageFull.into(),
        _ => io::Error::other("pretended"),
    }
}

impl Disk for Sim {
    fn lock(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        let machine = self.machine();
        let world = &machine.world;
        Ok(world
            .names
            .iter()
            .map(|(name, &file)| (name.clone(), world.files[file].live.len() as u64))
            .collect())
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let mut machine = self.machine();
        machine.world.files.push(File::default());
        let file = machine.world.files.len() - 1;
        machine.name_op(NameOp::Is(name.to_owned(), file))
    }

    fn allocate(&mut self, name: &str, length: u64) -> io::Result<bool> {
        let mut machine = self.machine();
        if let Some(fault) = machine.call()? {
            return Err(error(fault));
        }
        if !machine.world.allocates {
            return Ok(false);
        }
        let grows = length.saturating_sub(machine.file(name)?.live.len() as u64);
        let size = machine.world.size();
        if machine.world.capacity.is_some_and(|capacity| size + grows > capacity) {
            return Err(error(Fault::Full));
        }
        let file = machine.file(name)?;
        let longer = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().max(length as usize), 0);
        longer(&mut file.live);
        longer(&mut file.durable);
        machine.remember();
        Ok(true)
    }

    fn read_at(&mut self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut machine = self.machine();
        let end = offset + bytes.len() as u64;
        let touches = |(bad, range): &(String, std::ops::Range<u64>)| {
            bad == name && range.start < end && offset < range.end
        };
        if machine.world.unreadable.as_ref().is_some_and(touches) {
            return Err(error(Fault::Io));
        }
        if machine.world.flaky > 0 {
            machine.world.flaky -= 1;
            return Err(error(Fault::Io));
        }
        machine.world.read += bytes.len() as u64;
        let live = &machine.file(name)?.live;
        let rest = live.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(bytes.len());
        bytes[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&mut self, name: &str, offset: u64, mut bytes: &[u8]) -> io::Result<usize> {
        assert_eq!((offset % 4096, bytes.len() % 4096, bytes.as_ptr().addr() % 4096), (0, 0, 0), "{name}");
        let mut machine = self.machine();
        let fault = machine.call()?;
        let sector = machine.world.sector;
        let grows = {
            let file = machine.file(name)?;
            (offset as usize + bytes.len()).saturating_sub(file.live.len()) as u64
        };
        let size = machine.world.size();
        if machine.world.capacity.is_some_and(|capacity| grows > 0 && size + grows > capacity) {
            return Err(error(Fault::Full));
        }
        if fault == Some(Fault::Full) {
            return Err(error(Fault::Full));
        }
        let mut random = machine.world.random;
        if fault.is_some() {
            // Some of it may have been written.
            bytes = &bytes[..random.below(bytes.len() / sector + 1) * sector];
        }
        machine.world.random = random;
        let file = machine.file(name)?;
        let end = offset as usize + bytes.len();
        if file.live.len() < end {
            file.live.resize(end, 0);
        }
        file.live[offset as usize..end].copy_from_slice(bytes);
        file.dirty.extend(offset as usize / sector..end / sector);
        machine.world.written += bytes.len() as u64;
        machine.remember();
        if fault == Some(Fault::Io) { Err(error(Fault::Io)) } else { Ok(bytes.len()) }
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut machine = self.machine();
        let fault = machine.call()?;
        let sector = machine.world.sector;
        let file = machine.file(name)?;
        let dirty = std::mem::take(&mut file.dirty);
        if let Some(fault) = fault {
            return Err(error(fault));
        }
        if file.durable.len() < file.live.len() {
            file.durable.resize(file.live.len(), 0);
        }
        for at in dirty {
            let range = at * sector..((at + 1) * sector).min(file.live.len());
            file.durable[range.clone()].copy_from_slice(&file.live[range]);
        }
        machine.remember();
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.machine().name_op(NameOp::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.machine().name_op(NameOp::Remove(name.to_owned()))
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        let mut machine = self.machine();
        let fault = machine.call()?;
        if let Some(fault) = fault {
            return Err(error(fault));
        }
        machine.world.durable_names = machine.world.names.clone();
        machine.world.name_ops.clear();
        machine.remember();
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/pretended").join(name)
    }

    fn now(&mut self) -> Duration {
        let mut machine = self.machine();
        machine.world.clock += Duration::from_millis(1);
        machine.world.clock
    }

    fn random(&mut self) -> u64 {
        self.machine().world.random.next()
    }
}
