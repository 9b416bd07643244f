//! How long the gates alone take: nanoseconds per cycle and per command or frame, and bytes per second.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use traffic::scenario::{Run, all};

fn gates(criterion: &mut Criterion) {
    for scenario in all() {
        let (kind, name) = scenario.name.split_once(' ').unwrap_or((scenario.name, ""));
        let mut group = criterion.benchmark_group(kind);
        let mut run = Run::new(&scenario);
        group.throughput(Throughput::ElementsAndBytes { elements: scenario.units, bytes: scenario.bytes() });
        group.bench_function(name, |bencher| bencher.iter(|| run.cycle()));
        group.finish();
    }
}

criterion_group!(benches, gates);
criterion_main!(benches);
