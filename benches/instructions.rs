//! Runs one fixed run, for a tool that counts its instructions: `instructions NAME JOBS`. Without arguments it
//! lists the runs. `benches/instructions.sh` counts, and compares with `results/instructions.tsv`.
mod runs;
mod shards;

use runs::RUNS;

fn main() {
    // `cargo bench` adds flags of its own.
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    let Some(name) = words.next() else {
        RUNS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let jobs: u32 = words.next().and_then(|word| word.parse().ok()).expect("the number of jobs");
    let (_, make) = RUNS.iter().find(|(known, _)| *known == name).expect("the name of a run");
    // As much is set up whatever part of it is then done, so that differences are the work alone.
    let mut step = make(100_000);
    (0..jobs).for_each(|_| step());
}
