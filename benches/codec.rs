//! How long packets take to read and to write. `cargo bench -p ringgear-protocol`.
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringgear_protocol::{Frame, GrabKind, Priority, Request, Response, Submit, frame};
use std::hint::black_box;

const WORKLOAD: [u8; 100] = [b'x'; 100];
const HANDLE: &[u8] = b"H:some-host:123456789";

fn submit(unique: &[u8]) -> Request<'_> {
    Request::Submit(Submit {
        function: b"reverse",
        unique,
        workload: &WORKLOAD,
        priority: Priority::Normal,
        background: true,
        epoch: None,
        reducer: None,
    })
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/request");
    group.throughput(Throughput::Elements(1));
    let requests = [
        ("submit", submit(b"")),
        ("submit-unique", submit(b"6a9f6548-e6fa-11f1-8d3d-02fc00000001")),
        ("grab", Request::Grab(GrabKind::Plain)),
        ("complete", Request::WorkComplete { handle: HANDLE, result: &WORKLOAD }),
        ("can-do", Request::CanDo { function: b"reverse" }),
    ];
    for (name, request) in requests {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        group.bench_function(format!("decode/{name}"), |bencher| {
            bencher.iter(|| {
                let Ok(Frame::Packet { header, data, .. }) = frame(black_box(&bytes), u32::MAX) else {
                    panic!("a whole packet")
                };
                black_box(Request::decode(&header, data)).is_ok()
            });
        });
    }
    group.finish();
}

fn responses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/response");
    group.throughput(Throughput::Elements(1));
    let responses = [
        ("created", Response::JobCreated { handle: HANDLE }),
        ("assign", Response::JobAssign { handle: HANDLE, function: b"reverse", workload: &WORKLOAD }),
        ("complete", Response::WorkComplete { handle: HANDLE, result: &WORKLOAD }),
        ("noop", Response::Noop),
    ];
    for (name, response) in responses {
        let mut out = Vec::with_capacity(1024);
        group.bench_function(format!("encode/{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(&response).encode(&mut out);
                black_box(out.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, requests, responses);
criterion_main!(benches);
