//! The job log: what really ran. Each job writes a line when it starts and one when it ends, its producer one before it
//! pushes; the log lies beside the broker and the gate, so that their word can be judged by it.

use super::{eventually, process::Proc};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A worker that the gate called drained.
#[derive(Debug, Clone)]
pub(crate) struct Drained {
    /// The worker's label in the log.
    pub(crate) worker: String,
    /// When `sealed` was answered.
    pub(crate) sealed_at: f64,
    /// When `drained` was answered.
    pub(crate) drained_at: f64,
}

/// See the module. It is looked at again and again while it grows to many thousands of lines: each is read once.
pub(crate) struct JobLog {
    path: PathBuf,
    known: Mutex<Known>,
}

/// What has been read so far.
#[derive(Default)]
struct Known {
    bytes: u64,
    lines: Vec<Line>,
    /// Jobs that were pushed and have not ended.
    open: BTreeSet<String>,
}

/// `push|start|end|ready ID TIME PID WORKER`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) id: String,
    pub(crate) time: f64,
    pub(crate) pid: u32,
    pub(crate) worker: String,
}

impl JobLog {
    pub(crate) fn new(path: PathBuf) -> JobLog {
        JobLog { path, known: Mutex::default() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.read().lines.clone()
    }

    /// All whole lines up to now.
    fn read(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(|error| panic!("a line before was torn: {error}"));
        let mut text = String::new();
        if let Ok(mut file) = std::fs::File::open(&self.path) {
            file.seek(SeekFrom::Start(known.bytes)).expect("a file");
            file.read_to_string(&mut text).expect("the job log is text");
        }
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            known.bytes += line.len() as u64;
            known.add(parse(line));
        }
        known
    }

    /// The note of a producer written in Rust.
    pub(crate) fn note_push(&self, id: &str) {
        let mut file = std::fs::File::options().create(true).append(true).open(&self.path).expect("the job log");
        let line = format!("push {id} {:.6} {} producer\n", super::now(), std::process::id());
        file.write_all(line.as_bytes()).expect("a line in the job log");
    }

    pub(crate) fn find(&self, what: &str, id: &str) -> Option<Line> {
        self.first(|line| line.what == what && line.id == id)
    }

    /// The first line that is as wanted.
    pub(crate) fn first(&self, wanted: impl Fn(&Line) -> bool) -> Option<Line> {
        self.read().lines.iter().find(|line| wanted(line)).cloned()
    }

    /// The `ready` line of a worker.
    pub(crate) fn await_ready(&self, label: &str, worker: &mut Proc) -> Line {
        eventually(&format!("worker {label} is ready"), Duration::from_secs(120), || {
            assert!(worker.is_running(), "worker {label} ended at its start");
            self.first(|line| line.what == "ready" && line.worker == label)
        })
    }

    /// Waits for a line about a job.
    pub(crate) fn await_line(&self, what: &str, id: &str, within: Duration) -> Line {
        eventually(&format!("{what} of {id}"), within, || self.find(what, id))
    }

    /// Fails the test if a job begins within that time: what must not happen cannot be awaited.
    #[track_caller]
    pub(crate) fn assert_held(&self, id: &str, within: Duration) {
        let begun = Instant::now();
        loop {
            let over = begun.elapsed() >= within;
            assert_eq!(self.find("start", id), None, "it was not held");
            if over {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How many jobs were pushed and have not ended.
    pub(crate) fn open(&self) -> usize {
        self.read().open.len()
    }

    /// Waits until every job that was pushed has ended.
    pub(crate) fn await_all_ended(&self, within: Duration) {
        eventually("all jobs that were pushed have ended", within, || (self.open() == 0).then_some(()));
    }

    /// Fails the test unless each job ran exactly once and nothing was begun behind the gate's back.
    #[track_caller]
    pub(crate) fn assert_exactly_once(&self, drained: &[Drained]) -> usize {
        let lines = self.lines();
        let verdict = verdict(&lines);
        let breaches: Vec<String> = drained.iter().flat_map(|drained| breaches(&lines, drained)).collect();
        assert!(
            verdict.lost.is_empty() && verdict.doubled.is_empty() && breaches.is_empty(),
            "{verdict:?} {breaches:?}"
        );
        assert!(verdict.pushed > 0, "the story had no job");
        verdict.pushed
    }

    /// Fails the test if a worker that was called drained was not idle. (Where connections were cut under a worker, its
    /// job system itself may run a job twice.)
    #[track_caller]
    pub(crate) fn assert_idle_when_drained(&self, drained: &Drained) {
        assert_eq!(breaches(&self.lines(), drained), Vec::<String>::new());
    }

    pub(crate) fn verdict(&self) -> Verdict {
        verdict(&self.lines())
    }
}

impl Known {
    fn add(&mut self, line: Line) {
        match line.what.as_str() {
            "push" => drop(self.open.insert(line.id.clone())),
            "end" => drop(self.open.remove(&line.id)),
            _ => {}
        }
        self.lines.push(line);
    }
}

/// What the log says about all jobs.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// Jobs pushed.
    pub(crate) pushed: usize,
    /// Pushed and not run to the end.
    pub(crate) lost: Vec<String>,
    /// Begun or ended more often than once, or never pushed.
    pub(crate) doubled: Vec<String>,
}

fn verdict(lines: &[Line]) -> Verdict {
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for line in lines {
        let kind = ["push", "start", "end"].iter().position(|&kind| kind == line.what);
        if let Some(kind) = kind {
            counts.entry(&line.id).or_default()[kind] += 1;
        }
    }
    let with = |wrong: fn(&[usize; 3]) -> bool| -> Vec<String> {
        counts.iter().filter(|(_, count)| wrong(count)).map(|(id, _)| id.to_string()).collect()
    };
    Verdict {
        pushed: counts.values().filter(|[pushes, _, _]| *pushes > 0).count(),
        lost: with(|&[pushes, starts, ends]| pushes > 0 && (starts == 0 || ends == 0)),
        doubled: with(|&[pushes, starts, ends]| pushes != 1 || starts > 1 || ends > 1),
    }
}

/// What a drained worker must not have done: run a job that was pushed after it was sealed, begin anything after it was
/// drained, or have a job half done at that moment.
pub(crate) fn breaches(lines: &[Line], drained: &Drained) -> Vec<String> {
    let of = |what: &'static str| lines.iter().filter(move |line| line.what == what);
    let mut found = Vec::new();
    for start in of("start").filter(|line| line.worker == drained.worker) {
        let id = &start.id;
        if of("push").any(|push| push.id == *id && push.time > drained.sealed_at) {
            found.push(format!("{id} reached {} although it was pushed after sealed", drained.worker));
        }
        if start.time > drained.drained_at {
            found.push(format!("{id} began on {} after drained", drained.worker));
        }
        if !of("end").any(|end| end.id == *id && end.worker == drained.worker && end.time <= drained.drained_at) {
            found.push(format!("{id} was running on {} when the gate said drained", drained.worker));
        }
    }
    found
}

fn parse(line: &str) -> Line {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [what, id, time, pid, worker] = words[..] else { panic!("a torn line in the job log: {line:?}") };
    Line {
        what: what.to_owned(),
        id: id.to_owned(),
        time: time.parse().expect("a time"),
        pid: pid.parse().expect("a process id"),
        worker: worker.to_owned(),
    }
}

mod tests {
    use super::*;

    fn log(text: &str) -> Vec<Line> {
        text.lines().map(parse).collect()
    }

    const RUN: &str = "push a 1.0 1 producer\nstart a 2.0 7 w1\nend a 3.0 7 w1\n";

    #[test]
    fn a_job_that_ran_once_is_fine() {
        assert_eq!(verdict(&log(RUN)), Verdict { pushed: 1, ..Verdict::default() });
        let drained = Drained { worker: "w1".into(), sealed_at: 1.5, drained_at: 3.5 };
        assert_eq!(breaches(&log(RUN), &drained), Vec::<String>::new());
    }

    #[test]
    fn a_job_without_an_end_is_lost_and_two_starts_are_one_too_many() {
        let cut = log("push a 1.0 1 p\nstart a 2.0 7 w1\npush b 1.0 1 p\n");
        assert_eq!(verdict(&cut).lost, ["a", "b"]);
        let twice = log(&format!("{RUN}start a 4.0 8 w2\nend a 5.0 8 w2\n"));
        assert_eq!(verdict(&twice).doubled, ["a"]);
    }

    #[test]
    fn what_a_drained_worker_does_is_a_breach() {
        for (sealed_at, drained_at, says) in [(0.5, 3.5, "after sealed"), (1.5, 1.9, "began"), (1.5, 2.5, "running")] {
            let drained = Drained { worker: "w1".into(), sealed_at, drained_at };
            let found = breaches(&log(RUN), &drained);
            assert!(found.iter().any(|breach| breach.contains(says)), "{found:?}");
        }
    }
}
