//! What a shard does besides engine and kernel: messages on their way to another shard, replies on their way to a socket.
//! `cargo bench -p ringgear --features measure`.
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringgear::shard::bench_api::{MeshBench, OutboundBench};

fn mesh(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mesh");
    for messages in [1, 32, 1024] {
        group.throughput(Throughput::Elements(messages as u64));
        group.bench_function(format!("hop-of-{messages}"), |bencher| {
            let mut lanes = MeshBench::new().expect("two event descriptors");
            bencher.iter_custom(|rounds| {
                let mut taken = std::time::Duration::ZERO;
                for _ in 0..rounds {
                    lanes.make(messages);
                    let begin = std::time::Instant::now();
                    assert_eq!(lanes.cross(), messages);
                    taken += begin.elapsed();
                }
                taken
            });
        });
    }
    group.finish();
}

fn outbound(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outbound");
    for replies in [1, 16, 256] {
        group.throughput(Throughput::Elements(replies as u64));
        group.bench_function(format!("send-of-{replies}"), |bencher| {
            let mut bench = OutboundBench::new().expect("the prefix is short");
            bencher.iter(|| assert!(bench.send(replies) > 0));
        });
    }
    group.finish();
}

criterion_group!(benches, mesh, outbound);
criterion_main!(benches);
