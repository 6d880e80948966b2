//! How long an engine takes for a job, without any shell: no sockets, one shard. `cargo bench -p ringgear-engine`.
mod runs;
mod shards;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use runs::RUNS;

/// Jobs of one measured piece; queues grow by so many before the engine is thrown away.
const JOBS: u32 = 1_000;

fn engine(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    group.throughput(criterion::Throughput::Elements(u64::from(JOBS)));
    for (name, make) in RUNS {
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || make(JOBS),
                |step| (0..JOBS).for_each(|_| step()),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, engine);
criterion_main!(benches);
