//! What the fuzzers begin with, made from the transcripts, and what they have found (`tests/fuzz/found`): played to the same checks
//! as the fuzzers', with some neighbours of each. So the checks are tested without a fuzzer, and what was found stays mended.
#![allow(clippy::unwrap_used)]

#[path = "fuzz/checks/acl.rs"]
mod acl;
#[path = "fuzz/checks/decode.rs"]
mod decode;
#[path = "fuzz/checks/engine.rs"]
mod engine;
#[allow(dead_code)]
#[path = "transcripts/player.rs"]
mod player;
#[path = "transcripts/pretend.rs"]
mod pretend;
#[path = "fuzz/checks/record.rs"]
mod record;
#[allow(dead_code)]
#[path = "transcripts/script.rs"]
mod script;
mod support;
#[path = "fuzz/checks/text.rs"]
mod text;
#[cfg(feature = "tls")]
#[path = "fuzz/checks/tls.rs"]
mod tls;

use engine::{Act, World};
use player::{Arrival, Stage};
use pretend::{Pretend, Room};
use ringgear::engine::slot::Slot;
use ringgear::engine::{Epoch, JobId, StoredJob};
use ringgear::protocol::{Frame, Request, frame};
use ringgear::store::record::{self as records, Record};
use script::{Audience, Script};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, panic};
use support::scratch::Scratch;

/// Asserts what must hold of any bytes.
type Check = fn(&[u8]);

/// The fuzzers' targets, each with its check.
const TARGETS: &[(&str, Check)] = &[
    ("acl", acl::run),
    ("decode", decode::run),
    ("text", text::run),
    ("record", record::run),
    ("config_file", config_file),
    ("engine", engine::run),
    #[cfg(feature = "tls")]
    ("tls", tls::run),
];

/// Neighbours of each seed that are tried, if `NEIGHBOURS` in the environment says nothing else. Of a file fewer by this factor:
/// each is a process.
const NEIGHBOURS: u64 = 50;
const FILES_ARE_DEAR: u64 = 25;

/// A seed of a target.
struct Seed {
    target: &'static str,
    name: String,
    bytes: Vec<u8>,
}

/// The server's own reading, by a process: the fuzzer's target compiles that part of the sources instead.
fn config_file(bytes: &[u8]) {
    let scratch = Scratch::new();
    let path = scratch.file("gearmand.conf");
    fs::write(&path, bytes).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringgear"));
    command.arg("--check-args").arg("--config-file").arg(&path).stdin(Stdio::null());
    let output = command.output().unwrap();
    let lines = output.stderr.iter().filter(|&&byte| byte == b'\n').count();
    match output.status.code() {
        Some(0) => assert_eq!(lines, 0),
        Some(1) => assert_eq!(lines, 1, "{}", output.stderr.escape_ascii()),
        _ => panic!("{}", output.status),
    }
}

/// Engines in pretend time to which a script is played, and what was done to them.
struct Recorder {
    stage: Pretend,
    acts: Vec<Act>,
    names: Vec<String>,
    /// What each connection has sent.
    streams: Vec<Vec<u8>>,
}

impl Recorder {
    fn who(&mut self, name: &str) -> u8 {
        let at = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.streams.push(Vec::new());
            self.names.len() - 1
        });
        u8::try_from(at).unwrap()
    }
}

fn millis(duration: Duration) -> u16 {
    u16::try_from(duration.as_millis()).unwrap_or(u16::MAX)
}

impl Stage for Recorder {
    fn audience(&self) -> Audience {
        self.stage.audience()
    }

    fn is_prompt(&self) -> bool {
        self.stage.is_prompt()
    }

    fn pid(&self) -> u32 {
        self.stage.pid()
    }

    fn now(&self) -> u64 {
        self.stage.now()
    }

    fn connect(&mut self, name: &str) -> Result<(), String> {
        self.stage.connect(name)
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let who = self.who(name);
        self.acts.push(Act::Write(who, bytes.to_vec()));
        self.streams[usize::from(who)].extend(bytes);
        self.stage.write(name, bytes)
    }

    fn read(&mut self, name: &str, patience: Duration, inbox: &mut Vec<u8>) -> Result<Arrival, String> {
        let who = self.who(name);
        self.acts.push(Act::Read(who, millis(patience)));
        self.stage.read(name, patience, inbox)
    }

    fn close(&mut self, name: &str) -> Result<(), String> {
        let who = self.who(name);
        self.acts.push(Act::Close(who));
        self.stage.close(name)
    }

    fn finish(&mut self, name: &str) -> Result<(), String> {
        let who = self.who(name);
        self.acts.push(Act::Finish(who));
        self.stage.finish(name)
    }

    fn wait(&mut self, duration: Duration) {
        self.acts.push(Act::Wait(millis(duration)));
        self.stage.wait(duration);
    }

    fn signal(&mut self, signal: &str) -> Result<(), String> {
        self.stage.signal(signal)
    }

    fn wait_for_exit(&mut self) -> Result<(), String> {
        self.stage.wait_for_exit()
    }
}

/// What a seed may have: transcripts with payloads of megabytes are left out.
const SEED_MAX: usize = 16 << 10;

fn seeds() -> Vec<Seed> {
    let mut seeds = files();
    seeds.extend(access_lists());
    #[cfg(feature = "tls")]
    seeds.extend(peers_with_tls());
    for (name, script) in scripts() {
        let options = script.options(Audience::Pretend);
        let Some(world) = World::with_words(&options) else { continue };
        let stage = Pretend::start(1, Room::Plenty, &options).unwrap();
        let mut recorder = Recorder { stage, acts: Vec::new(), names: Vec::new(), streams: Vec::new() };
        player::play(&script, &mut recorder).unwrap();
        let mut seed =
            |target, more: &str, bytes| seeds.push(Seed { target, name: format!("{name}{more}"), bytes });
        seed("engine", "", engine::written(world, &recorder.acts));
        for (at, stream) in recorder.streams.iter().filter(|stream| !stream.is_empty()).enumerate() {
            seed("text", &format!("-{at}"), stream.clone());
            seed("decode", &format!("-{at}"), [&[0, 3], &stream[..]].concat());
            if let Some(record) = record_of(stream) {
                seed("record", &format!("-{at}"), record);
            }
        }
    }
    seeds.retain(|seed| seed.bytes.len() <= SEED_MAX);
    seeds
}

/// Inputs over which something stumbled once: a folder for each target.
fn found() -> Vec<Seed> {
    let folders = paths_in(&root().join("tests/fuzz/found")).into_iter().filter(|path| path.is_dir());
    let seeds = folders.flat_map(|folder| {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let (target, _) = TARGETS
            .iter()
            .find(|(target, _)| *target == name)
            .unwrap_or_else(|| panic!("{name} is no target"));
        let seed =
            |path: PathBuf| Seed { target, name: path.display().to_string(), bytes: fs::read(path).unwrap() };
        paths_in(&folder).into_iter().map(seed).collect::<Vec<_>>()
    });
    seeds.collect()
}

/// Of every script that engines in pretend time can play.
fn scripts() -> Vec<(String, Script)> {
    let mut scripts = Vec::new();
    for folder in ["tests/transcripts", "tests/replays"] {
        for path in paths_in(&root().join(folder)) {
            if path.extension().is_none_or(|extension| extension != "txt") {
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let script = Script::parse(&name, &path, &fs::read_to_string(&path).unwrap()).unwrap();
            if script.is_for(Audience::Pretend) && !script.needs_process() {
                scripts.push((name, script));
            }
        }
    }
    scripts
}

/// The first job of a stream as a store would have it, and the two bytes before it that the check takes for itself.
fn record_of(mut stream: &[u8]) -> Option<Vec<u8>> {
    while let Ok(Frame::Packet { header, data, consumed }) = frame(stream, u32::MAX) {
        if let Ok(Request::Submit(submit)) = Request::decode(&header, data) {
            let job = StoredJob {
                id: JobId::new(7, Slot::of(submit.function)),
                priority: submit.priority,
                epoch: submit.epoch.map(|_| Epoch(2_000_000_000_000)),
                attempts: 1,
                function: submit.function,
                unique: submit.unique,
                workload: submit.workload,
                reducer: submit.reducer,
                death: None,
                accepted: submit.epoch.map(|_| Epoch(1_900_000_000_000)),
                more: b"",
            };
            let mut bytes = vec![0, 2];
            records::put(&job, &mut bytes);
            bytes.drain(2..2 + records::HEADER);
            return Some(bytes);
        }
        stream = &stream[consumed..];
    }
    None
}

/// Access lists: what `geard` reads, and what it does not.
fn access_lists() -> Vec<Seed> {
    let texts = [
        "[my_worker]\nregister=build:.*\n\n[my_client]\ninvoke=.*\ngrant=True\n",
        "# who\n; may what\n[*]\nread = yes\n",
        "[cn:urn:x]\nsubmit=^mail$\nwork=(?i)MAIL\n",
        "[san:host.example]\r\nadmin=on\r\n",
        "[uid:0]\nadmin=1\n[gid:33]\nread=0\n",
        "[user:root]\nsubmit=.*\n[group:ci]\nwork=\\w+-\\d{2,4}\n",
        "[address:10.0.0.0/8]\nsubmit=a|b\n[address:2001:db8::/32]\nwork=[[:alpha:]]+\n",
        "[a]\ninvoke: .*\n  more\n",
        "[DEFAULT]\nread=True\n",
        "submit=x\n[a]\nsubmit=(\nsubmit=)|(.*\n",
        "\u{feff}[a]\nREAD=False\nread=True\n[a]\n",
    ];
    let seed = |(at, text): (usize, &&str)| Seed {
        target: "acl",
        name: format!("written-{at}"),
        bytes: text.as_bytes().to_vec(),
    };
    texts.iter().enumerate().map(seed).collect()
}

/// What peers do that speak TLS: greetings, which are others each time, and what they seal behind their handshakes.
#[cfg(feature = "tls")]
fn peers_with_tls() -> Vec<Seed> {
    const ECHO: &[u8] = b"\0\x11\0REQ\0\0\0\x10\0\0\0\x05hello";
    let (changed, plain, renews, ends) =
        ([&[4 + 8], &ECHO[1..]].concat(), b"\x05\x08version\n", b"\x06\0", b"\x07\0");
    let long = [&[31 << 3], &ECHO[1..]].concat();
    let programs = [
        ECHO.repeat(5),
        [ECHO, ends].concat(),
        [ECHO, renews, ECHO].concat(),
        [&long[..], renews, &long, ends].concat(),
        [ECHO, &changed, ECHO].concat(),
        [ECHO, plain, ECHO].concat(),
        [ECHO, ends, plain].concat(),
    ];
    let programs = programs
        .iter()
        .flat_map(|program| [[2, 0], [3, 6], [3, 255]].map(|head| [&head, &program[..]].concat()));
    let greetings = tls::hellos()
        .into_iter()
        .flat_map(|hello| [[0, 0], [0, 100]].map(|head| [&head, &hello[..]].concat()));
    let seed = |(at, bytes)| Seed { target: "tls", name: format!("written-{at}"), bytes };
    programs.chain(greetings).enumerate().map(seed).collect()
}

/// Configuration files: the options of the transcripts, and what gearmand's users write.
fn files() -> Vec<Seed> {
    let texts = [
        "--port=4731\n--verbose INFO\n",
        "# a comment\n--listen 127.0.0.1\r\n--threads 2 -R -j 3\n",
        "--thr=2 --verb=INFO port=4730 --keepalive-idle -1",
        "-d -P /run/gearmand.pid -l /var/log/gearmand.log -vv",
        "-q libsqlite3 --libsqlite3-db=/var/lib/gearman/queue.db",
        "--data-dir /var/lib/ringgear --durability written --max-log-bytes 1000000000",
        "--queue-type=redis --redis-server=localhost",
        "--config-file /etc/other.conf",
        "--max-memory 1000000 --max-queued-bytes 0 -- --port 1",
        "--p 1 --job-handle-prefix=H:x --unix-mode 0660 -L unix:/run/g.sock",
    ];
    let written = texts.iter().enumerate().map(|(at, text)| (format!("written-{at}"), (*text).to_owned()));
    let of_scripts = scripts().into_iter().filter_map(|(name, script)| {
        let words = script.options(Audience::Pretend).join("\n");
        (!words.is_empty()).then_some((name, words))
    });
    let mut distinct: BTreeMap<String, String> = BTreeMap::new();
    for (name, text) in written.chain(of_scripts) {
        distinct.entry(text).or_insert(name);
    }
    distinct
        .into_iter()
        .map(|(text, name)| Seed { target: "config_file", name, bytes: text.into_bytes() })
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What is in a folder, in order.
fn paths_in(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn check_of(target: &str) -> Check {
    TARGETS.iter().find(|(name, _)| *name == target).unwrap_or_else(|| panic!("{target} is no target")).1
}

/// Something near the seed: the same number gives the same.
fn neighbour(seed: &[u8], number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed.len() as u64 | 1;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let mut bytes = seed.to_vec();
    for _ in 0..=next(3) {
        let at = next(bytes.len());
        match next(4) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << next(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'\n', b' ', b'-'][next(8)],
            2 => drop(bytes.drain(at..bytes.len().min(at + next(9)))),
            _ => {
                let piece = bytes[at..bytes.len().min(at + next(40))].to_vec();
                let to = next(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

/// With SEEDS_TO in the environment, writes the seeds there: see `tests/fuzz/seeds.sh`.
#[test]
fn corpus() {
    let seeds = seeds();
    for &(target, _) in TARGETS {
        let count = seeds.iter().filter(|seed| seed.target == target).count();
        assert!(count >= 10, "{target} begins with {count} seeds");
    }
    for seed in seeds.iter().filter(|seed| seed.target == "record") {
        let whole = record::sealed(&seed.bytes[2..]);
        assert!(matches!(records::read(&whole), Ok((Record::Put(_), _))), "{} is no job", seed.name);
    }
    let Some(to) = std::env::var_os("SEEDS_TO").map(PathBuf::from) else { return };
    for Seed { target, name, bytes } in seeds {
        let folder = to.join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// What a seed of the engine says is what was played, and it goes as far: jobs are submitted, taken and done.
#[test]
fn programs_are_transcripts() {
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    let mut programs = 0;
    for seed in seeds().iter().filter(|seed| seed.target == "engine") {
        let (world, acts) = engine::read(&seed.bytes);
        assert_eq!(engine::written(world, &acts), seed.bytes, "{}", seed.name);
        for (name, count) in engine::play(&seed.bytes) {
            *told.entry(name).or_default() += count;
        }
        programs += 1;
    }
    assert!(programs > 100, "{programs} programs");
    for name in ["JOB_CREATED", "JOB_ASSIGN", "WORK_COMPLETE", "NOOP", "STATUS_RES", "ERROR", "a line"] {
        assert!(told.get(name).is_some_and(|&count| count >= 10), "{name}: {told:?}");
    }
}

#[test]
fn seeds_and_their_neighbours() {
    let asked = std::env::var("NEIGHBOURS").ok().map(|number| number.parse().unwrap());
    let most = asked.unwrap_or(NEIGHBOURS);
    for seed in seeds().into_iter().chain(found()) {
        let neighbours = if seed.target == "config_file" { most / FILES_ARE_DEAR } else { most };
        let check = check_of(seed.target);
        check(&seed.bytes);
        for number in 0..neighbours {
            let bytes = neighbour(&seed.bytes, number);
            panic::catch_unwind(|| check(&bytes)).unwrap_or_else(|_| {
                panic!("{} {}, neighbour {number}: {}", seed.target, seed.name, bytes.escape_ascii())
            });
        }
    }
}
