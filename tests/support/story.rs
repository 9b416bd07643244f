//! The story that every job system has to live through: two workers, jobs that never stop coming, one worker drained at
//! a random moment and killed with -9 in the instant the gate says so, over and over under the same name. At the end each
//! job has run exactly once.

use super::gate::Answer;
use super::joblog::Drained;
use super::process::Proc;
use super::{World, eventually, gate, now, secs};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A job system as the stories use it.
pub(crate) trait System {
    /// Starts life number `life` of the worker `name` and waits until it is ready.
    fn start(&self, world: &World, name: &str, life: usize) -> Worker;
    /// A producer that talks to the broker directly.
    fn producer(&self, world: &World) -> Box<dyn Producer>;
}

/// Pushes jobs.
pub(crate) trait Producer: Send {
    /// A job of this length, due after `countdown` seconds.
    fn push(&mut self, id: &str, seconds: f64, countdown: f64);
}

/// A producer in the job system's own language: a job for each line `ID SECONDS` or `ID SECONDS COUNTDOWN`.
pub(crate) struct LineProducer {
    process: Proc,
    countdown: bool,
}

impl LineProducer {
    /// `countdown`: its lines have one.
    pub(crate) fn start(world: &World, mut run: Command, countdown: bool) -> Box<dyn Producer> {
        run.stdin(Stdio::piped());
        Box::new(LineProducer { process: Proc::start(&mut run, &world.path().join("producer.log")), countdown })
    }
}

impl Producer for LineProducer {
    fn push(&mut self, id: &str, seconds: f64, countdown: f64) {
        let input = self.process.child.stdin.as_mut().expect("a pipe to the producer");
        let countdown = if self.countdown { format!(" {countdown:.3}") } else { String::new() };
        writeln!(input, "{id} {seconds:.3}{countdown}").expect("the producer listens");
    }
}

impl Drop for LineProducer {
    /// What was handed to the producer is pushed before it ends.
    fn drop(&mut self) {
        self.process.finish();
    }
}

/// One life of a worker.
pub(crate) struct Worker {
    pub(crate) process: Proc,
    /// What the gate calls it.
    pub(crate) name: String,
    /// What the job log calls it.
    pub(crate) label: String,
}

/// Lengths and due times of the jobs.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// The longest job, in seconds.
    pub(crate) longest: f64,
    /// Every other job is due up to this many seconds later.
    pub(crate) countdown: f64,
    /// No more than this many jobs are open at a time.
    pub(crate) open: usize,
    /// The evidence that `drained` must have.
    pub(crate) require: &'static str,
}

impl Default for Load {
    fn default() -> Load {
        Load { longest: 3.0, countdown: 0.0, open: 16, require: "inferred" }
    }
}

/// Tells the story and returns the number of jobs.
pub(crate) fn drain_and_kill(world: &World, system: &dyn System, load: Load, rounds: usize) -> usize {
    let mut random = random();
    let mut drained = Vec::new();
    let mut other = system.start(world, "w2", 1);
    with_jobs(world, system, load, || {
        for round in 1..=rounds {
            let worker = system.start(world, "w1", round);
            await_job_on(world, &worker);
            std::thread::sleep(Duration::from_millis(random.u64(0..2500)));
            drained.push(drain_then_kill_by(world, worker, &format!("round-{round}"), load.require));
        }
    });
    world.log().await_all_ended(secs(120));
    let held = super::evidence::wanted().then(|| super::held::measure(world, system, &mut other));
    super::evidence::record(world, &drained, held.as_ref());
    if let Some(held) = held {
        held.assert_quiet();
    }
    world.log().assert_exactly_once(&drained)
}

/// Does something while jobs are being pushed.
pub(crate) fn with_jobs(world: &World, system: &dyn System, load: Load, act: impl FnOnce()) {
    let mut producer = system.producer(world);
    let mut random = random();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let countdown = if number % 2 == 0 { random.f64() * load.countdown } else { 0.0 };
                let seconds = load.longest * random.f64() * random.f64();
                producer.push(&format!("job{number}"), seconds, countdown);
                std::thread::sleep(Duration::from_millis(random.u64(10..200)));
                while world.log().open() >= load.open && !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        });
        act();
    });
}

/// Drains a worker with the command line and kills its process group in the instant that says it is drained.
pub(crate) fn drain_then_kill(world: &World, worker: Worker, drain: &str) -> Drained {
    drain_then_kill_by(world, worker, drain, "inferred")
}

/// The same with the evidence that it must have.
pub(crate) fn drain_then_kill_by(world: &World, worker: Worker, drain: &str, require: &str) -> Drained {
    drain_amid(world, worker, drain, require, |_| {})
}

/// The same, with something happening to the worker while it is being drained.
pub(crate) fn drain_amid(
    world: &World,
    mut worker: Worker,
    drain: &str,
    require: &str,
    happens: impl FnOnce(&Worker),
) -> Drained {
    let gate = world.gate();
    let (answer, sealed_at, drained_at) = std::thread::scope(|scope| {
        let sealed = scope.spawn(|| await_sealed(world, drain));
        let words = ["drain", &worker.name, "--name", drain, "--require", require, "--wait", "--timeout", "120s"];
        let cli = gate.command(&words).spawn().expect("the command line runs");
        happens(&worker);
        let output = cli.wait_with_output().expect("it ends");
        let drained_at = now();
        if output.status.success() {
            worker.process.kill();
        }
        (Answer::of(output), sealed.join().expect("the wait for sealed"), drained_at)
    });
    answer.expect(0);
    Drained { worker: worker.label, sealed_at, drained_at }
}

/// When the gate said `sealed`; the drain may not exist yet.
fn await_sealed(world: &World, drain: &str) -> f64 {
    eventually(&format!("{drain} is sealed"), secs(120), || {
        let (status, answer) =
            world.gate().http("GET", &format!("/v1/drains/{drain}?wait=sealed&timeout=30s"), None)?;
        (status == 200 && ["sealed", "drained"].contains(&gate::text(&answer["state"]))).then(now)
    })
}

/// The worker gets jobs. After a restart under the name of a drained one it must not be held for the old one's sake: that
/// would be for a minute (`forget_after`) at least.
pub(crate) fn await_job_on(world: &World, worker: &Worker) {
    eventually(&format!("{} gets a job", worker.label), secs(40), || {
        world.log().first(|line| line.what == "start" && line.worker == worker.label)
    });
}

/// Random, and the same again with `DRAINGATE_SEED`.
pub(crate) fn random() -> fastrand::Rng {
    let seed = std::env::var("DRAINGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("DRAINGATE_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// Tells a thread of a scope to end, also when the scope's test fails.
pub(crate) struct StopOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
