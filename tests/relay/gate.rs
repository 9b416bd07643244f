//! A gate out of closures that writes down how it was called.

use draingate::gate::{Action, Gate, Side};
use draingate::job::{Millis, System};
use draingate::question::Question;
use draingate::queue::PausedQueues;
use std::sync::{Arc, Mutex};

pub(crate) type Input = Box<dyn FnMut(&mut State, Side, &[u8], &mut Vec<Action>) -> usize + Send>;
pub(crate) type Ending = Box<dyn FnMut(&mut State, Side, &mut Vec<Action>) + Send>;
pub(crate) type End = Box<dyn FnMut(&mut State, Side, u64, &mut Vec<Action>) + Send>;
pub(crate) type Mark = Box<dyn FnMut(&mut State, bool, &mut Vec<Action>) + Send>;
pub(crate) type Timeout = Box<dyn FnMut(&mut State, &mut Vec<Action>) + Send>;

/// What a closure may change, and a test may look at.
#[derive(Debug)]
pub(crate) struct State {
    /// A line for each call.
    pub(crate) calls: Vec<String>,
    /// By side.
    pub(crate) wants: [bool; 2],
    pub(crate) boundary: bool,
    pub(crate) broker_leaves: bool,
    pub(crate) may_get_job: bool,
    pub(crate) takes_back: bool,
    pub(crate) next_timeout: Option<Millis>,
    pub(crate) flushed: u64,
    pub(crate) now: Millis,
}

/// See the module.
pub(crate) struct TestGate {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) input: Input,
    pub(crate) ending: Ending,
    pub(crate) end: End,
    pub(crate) mark: Mark,
    pub(crate) timeout: Timeout,
}

/// Forwards everything; closes at the first end.
pub(crate) fn pass() -> TestGate {
    TestGate {
        state: Arc::new(Mutex::new(State {
            calls: Vec::new(),
            wants: [true, true],
            boundary: true,
            broker_leaves: false,
            may_get_job: false,
            takes_back: false,
            next_timeout: None,
            flushed: 0,
            now: 0,
        })),
        input: Box::new(|_, _, bytes, out| {
            out.push(Action::Forward(0..bytes.len()));
            bytes.len()
        }),
        ending: Box::new(|_, _, _| ()),
        end: Box::new(|_, _, _, out| out.push(Action::Close(Ok(())))),
        mark: Box::new(|_, _, _| ()),
        timeout: Box::new(|state, _| state.next_timeout = None),
    }
}

impl TestGate {
    fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.state.lock().expect("no panic before"))
    }
}

impl Gate for TestGate {
    fn input(&mut self, now: Millis, from: Side, input: &[u8], out: &mut Vec<Action>) -> usize {
        let mut state = self.state.lock().expect("no panic before");
        assert!(state.wants[from as usize], "input although the gate does not want any");
        state.now = now;
        let shown = if input.len() <= 16 { String::from_utf8_lossy(input).into_owned() } else { "..".into() };
        state.calls.push(format!("{from:?} {shown}"));
        (self.input)(&mut state, from, input, out)
    }

    fn ending(&mut self, now: Millis, from: Side, out: &mut Vec<Action>) {
        let mut state = self.state.lock().expect("no panic before");
        state.now = now;
        (self.ending)(&mut state, from, out);
    }

    fn end(&mut self, now: Millis, from: Side, written: u64, out: &mut Vec<Action>) {
        let mut state = self.state.lock().expect("no panic before");
        state.now = now;
        state.calls.push(format!("end {from:?}"));
        (self.end)(&mut state, from, written, out);
    }

    fn pause(&mut self, _now: Millis, paused: &Arc<PausedQueues>, _out: &mut Vec<Action>) {
        self.state.lock().expect("no test panics with the lock").calls.push(format!("paused {}", paused.number()));
    }

    fn mark(&mut self, _now: Millis, marked: bool, out: &mut Vec<Action>) {
        let mut state = self.state.lock().expect("no panic before");
        state.calls.push(format!("mark {marked}"));
        (self.mark)(&mut state, marked, out);
    }

    fn ask(&mut self, question: Question, _out: &mut Vec<Action>) {
        self.with(|state| state.calls.push(format!("ask {}", question.number)));
    }

    fn set_system(&mut self, system: System) {
        self.with(|state| state.calls.push(format!("system {}", system.as_str())));
    }

    fn next_timeout(&self) -> Option<Millis> {
        self.with(|state| state.next_timeout)
    }

    fn timeout(&mut self, now: Millis, out: &mut Vec<Action>) {
        let mut state = self.state.lock().expect("no panic before");
        state.now = now;
        state.calls.push("timeout".into());
        (self.timeout)(&mut state, out);
    }

    fn wants(&self, from: Side) -> bool {
        self.with(|state| state.wants[from as usize])
    }

    fn flushed(&mut self, written: u64) {
        self.with(|state| {
            assert!(written > state.flushed, "flushed only grows");
            state.flushed = written;
        });
    }

    fn may_get_job(&self) -> bool {
        self.with(|state| state.may_get_job)
    }

    fn takes_back(&self) -> bool {
        self.with(|state| state.takes_back)
    }

    fn broker_leaves(&self) -> bool {
        self.with(|state| state.broker_leaves)
    }

    fn at_safe_boundary(&self) -> bool {
        self.with(|state| state.boundary)
    }
}
