//! A gate under test with a made-up clock, sockets that are vectors, and the pump's rules: bytes that the gate did not
//! consume are presented again with more behind them, and wait while it does not want them.

use super::event::text;
use super::rng::Rng;
use super::script::Want;
use draingate::gate::resp::{RespGate, RespSettings};
use draingate::gate::{Action, Gate, GateError, Side};
use draingate::job::{JobEvent, Millis, System};
use draingate::question::Question;
use draingate::queue::PausedQueues;
use std::collections::VecDeque;
use std::sync::Arc;

/// How input is cut.
#[derive(Clone, Debug)]
pub enum Cuts {
    Whole,
    Bytes,
    Random(Rng),
}

impl Cuts {
    /// The length of the next piece.
    fn next(&mut self, left: usize) -> usize {
        match self {
            Cuts::Whole => left,
            Cuts::Bytes => 1,
            Cuts::Random(rng) => {
                let most = [3, 12, 60, 4_000, 100_000][rng.below(5)];
                1 + rng.below(left.min(most))
            }
        }
    }
}

/// What waits for the gate on one side.
#[derive(Default)]
struct Lane {
    carry: Vec<u8>,
    /// The gate has seen all of `carry` and wants more behind it.
    hungry: bool,
    gone: bool,
}

/// See the module.
pub struct Player {
    pub gate: RespGate,
    pub now: Millis,
    /// Where in the script, for messages.
    pub place: String,
    cuts: Cuts,
    /// How often the set of paused queues has changed.
    pauses: u64,
    lanes: [Lane; 2],
    /// Ordered to each side and not yet expected.
    pub out: [Vec<u8>; 2],
    pub events: VecDeque<JobEvent>,
    pub closed: Option<Result<(), GateError>>,
    /// Bytes ordered to the client so far, and how many of them an expectation has taken.
    ordered: u64,
    taken: u64,
    /// Bytes that the client's socket took, and how many it will take at most.
    written: u64,
    limit: Option<u64>,
    /// Where each delivery was told: so many bytes had been ordered to the client.
    told: Vec<u64>,
    /// The longest that the gate left unconsumed.
    pub longest_carry: usize,
}

impl Player {
    pub fn new(settings: RespSettings, seed: u64, cuts: Cuts) -> Player {
        Player {
            gate: RespGate::new(Arc::new(settings), seed),
            now: 1_795_000_000_000,
            place: String::new(),
            cuts,
            pauses: 0,
            lanes: [Lane::default(), Lane::default()],
            out: [vec![], vec![]],
            events: VecDeque::new(),
            closed: None,
            ordered: 0,
            taken: 0,
            written: 0,
            limit: None,
            told: vec![],
            longest_carry: 0,
        }
    }

    pub fn send(&mut self, side: Side, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let end = at + self.cuts.next(bytes.len() - at);
            self.lanes[side as usize].carry.extend_from_slice(&bytes[at..end]);
            self.lanes[side as usize].hungry = false;
            self.present();
            at = end;
        }
    }

    /// Presents what waits, as long as something comes of it.
    fn present(&mut self) {
        loop {
            let ready = |side: Side| {
                let lane = &self.lanes[side as usize];
                !lane.carry.is_empty() && !lane.hungry && !lane.gone && self.gate.wants(side)
            };
            let Some(side) = [Side::Client, Side::Broker].into_iter().find(|s| ready(*s)) else { return };
            if self.closed.is_some() {
                return;
            }
            let input = std::mem::take(&mut self.lanes[side as usize].carry);
            let mut actions = vec![];
            let used = self.gate.input(self.now, side, &input, &mut actions);
            assert!(used <= input.len(), "{}: more consumed than there was", self.place);
            self.carry_out(side, &input[..used], actions);
            let lane = &mut self.lanes[side as usize];
            lane.carry = input[used..].to_vec();
            lane.hungry = !lane.carry.is_empty() && self.gate.wants(side);
            if lane.hungry {
                self.longest_carry = self.longest_carry.max(lane.carry.len());
            }
        }
    }

    fn carry_out(&mut self, from: Side, input: &[u8], actions: Vec<Action>) {
        let mut forwarded = 0;
        for action in actions {
            assert!(self.closed.is_none(), "{}: {action:?} after the end", self.place);
            match action {
                Action::Forward(range) => {
                    assert!(range.start >= forwarded && range.end <= input.len(), "{}: {range:?}", self.place);
                    forwarded = range.end;
                    self.order(from.other(), &input[range]);
                }
                Action::Send { to, bytes } => self.order(to, &bytes),
                Action::Event(event) => {
                    if matches!(event, JobEvent::Delivered(_) | JobEvent::Taken(_)) {
                        self.told.push(self.ordered);
                    }
                    self.events.push_back(event);
                }
                Action::Close(result) => self.closed = Some(result),
            }
        }
        self.gate.flushed(self.written);
        let due = self.gate.next_timeout();
        let waiting = due.is_none_or(|at| at > self.now || at == 0);
        assert!(waiting || self.closed.is_some(), "{}: its time-out {due:?} is over and not heeded", self.place);
    }

    fn order(&mut self, to: Side, bytes: &[u8]) {
        self.out[to as usize].extend_from_slice(bytes);
        if to == Side::Client {
            self.ordered += bytes.len() as u64;
            self.written = self.limit.unwrap_or(u64::MAX).min(self.ordered);
        }
    }

    pub fn mark(&mut self, marked: bool) {
        let mut actions = vec![];
        self.gate.mark(self.now, marked, &mut actions);
        self.carry_out(Side::Client, b"", actions);
        self.present();
    }

    pub fn pause(&mut self, names: &[String]) {
        let mut actions = vec![];
        self.pauses += 1;
        let paused = Arc::new(PausedQueues::new(self.pauses, names.iter().cloned()));
        self.gate.pause(self.now, &paused, &mut actions);
        self.carry_out(Side::Client, b"", actions);
        self.present();
    }

    pub fn ask(&mut self, question: &Question) {
        let mut actions = vec![];
        self.gate.ask(question.clone(), &mut actions);
        self.carry_out(Side::Client, b"", actions);
        self.present();
    }

    pub fn set_system(&mut self, system: System) {
        self.gate.set_system(system);
        self.wait(0);
    }

    /// Lets time pass, stopping wherever the gate wants to be woken.
    pub fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(at) = self.gate.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            let mut actions = vec![];
            self.gate.timeout(self.now, &mut actions);
            self.carry_out(Side::Client, b"", actions);
            self.present();
            let next = self.gate.next_timeout();
            assert!(next.is_none_or(|next| next > self.now), "{}: still due at {next:?}", self.place);
        }
        self.now = until;
    }

    pub fn gone(&mut self, side: Side) {
        let lane = &self.lanes[side as usize];
        if !lane.carry.is_empty() && !lane.hungry && !self.gate.wants(side) {
            let mut actions = vec![];
            self.gate.ending(self.now, side, &mut actions);
            self.carry_out(side, b"", actions);
            self.present();
        }
        self.lanes[side as usize] = Lane { gone: true, ..Lane::default() };
        if side == Side::Client {
            self.limit = Some(self.written);
        }
        let mut actions = vec![];
        self.gate.end(self.now, side, self.written, &mut actions);
        self.carry_out(side, b"", actions);
        self.present();
    }

    pub fn stall(&mut self, bytes: u64) {
        self.limit = Some(self.written + bytes);
    }

    /// The client's socket takes so many bytes more.
    pub fn hand_over(&mut self, bytes: usize) -> Vec<u8> {
        let out = &mut self.out[Side::Client as usize];
        let taken: Vec<u8> = out.drain(..bytes.min(out.len())).collect();
        self.written += taken.len() as u64;
        self.limit = Some(self.written);
        self.gate.flushed(self.written);
        taken
    }

    pub fn expect(&mut self, side: Side, want: &Want) {
        let got = self.out[side as usize].clone();
        let mut at = 0;
        for (i, piece) in want.pieces.iter().enumerate() {
            if i > 0 {
                at += self.slice(&got[at..], want.slices[i - 1]);
            }
            let same = got[at..].starts_with(piece);
            assert!(same, "{}: expected {:?} but got {:?}", self.place, show(piece), show(&got[at..]));
            at += piece.len();
        }
        self.out[side as usize].drain(..at);
        if side == Side::Client {
            let end = self.taken + at as u64;
            for told in self.told.drain(..) {
                assert!(told < end, "{}: a delivery was told after its last byte", self.place);
            }
            self.taken = end;
        }
    }

    /// The bulk string at the start must be a time-out that is not for ever, in seconds or milliseconds.
    fn slice(&self, got: &[u8], most: u64) -> usize {
        let text = String::from_utf8_lossy(&got[..got.len().min(40)]).into_owned();
        let mut parts = text.split("\r\n");
        let (length, number) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        assert_eq!(length, format!("${}", number.len()), "{}: a time-out, but got {text:?}", self.place);
        let ms = match number.split_once('.') {
            Some(_) => number.parse::<f64>().expect("seconds") * 1000.0,
            None => number.parse::<f64>().expect("milliseconds"),
        };
        assert!(ms > 0.0 && ms <= most as f64, "{}: a slice of {number}", self.place);
        length.len() + number.len() + 4
    }

    pub fn expect_event(&mut self, expected: &str, all: bool) {
        self.skip_fetches(all);
        // told with each fetch of a stream: of interest only to whom names it
        while expected != "Acknowledges" && self.events.front() == Some(&JobEvent::Acknowledges) {
            self.events.pop_front();
        }
        let Some(event) = self.events.pop_front() else { panic!("{}: no event", self.place) };
        let got = text(&event);
        let same = match expected.strip_suffix('*') {
            Some(beginning) => got.starts_with(beginning),
            None => got == expected,
        };
        assert!(same, "{}: the event was {got}", self.place);
    }

    fn skip_fetches(&mut self, all: bool) {
        let of_fetch = |e: &JobEvent| {
            matches!(
                e,
                JobEvent::PausesTaken { .. }
                    | JobEvent::UnknownScript
                    | JobEvent::PassesPause { .. }
                    | JobEvent::Acknowledges
                    | JobEvent::FetchAsked { .. }
                    | JobEvent::FetchMoved { .. }
                    | JobEvent::FetchOrphaned
                    | JobEvent::FetchAnswered { .. }
            )
        };
        while !all && self.events.front().is_some_and(of_fetch) {
            self.events.pop_front();
        }
    }

    pub fn expect_closed(&mut self, why: Option<&str>) {
        let closed = self.closed.take().unwrap_or_else(|| panic!("{}: it is open", self.place));
        match (closed, why) {
            (Ok(()), None) => {}
            (Err(error), Some(why)) => {
                assert!(error.to_string().contains(why), "{}: closed with {error}", self.place)
            }
            (other, _) => panic!("{}: closed with {other:?}", self.place),
        }
    }

    pub fn expect_safe(&self, safe: bool) {
        assert_eq!(self.gate.at_safe_boundary(), safe, "{}: a safe boundary", self.place);
    }

    /// Everything that came has been expected.
    pub fn nothing_left(&mut self, all_events: bool) {
        self.skip_fetches(all_events);
        assert_eq!(show(&self.out[Side::Broker as usize]), "", "{}: unexpected, to the broker", self.place);
        assert_eq!(show(&self.out[Side::Client as usize]), "", "{}: unexpected, to the client", self.place);
        let events: Vec<String> = self.events.iter().map(text).collect();
        assert!(events.is_empty(), "{}: unexpected: {events:?}", self.place);
        assert!(self.closed.is_none(), "{}: closed: {:?}", self.place, self.closed);
    }
}

fn show(bytes: &[u8]) -> String {
    let shown = bytes[..bytes.len().min(300)].escape_ascii().to_string();
    if bytes.len() > 300 { format!("{shown}.. ({} bytes)", bytes.len()) } else { shown }
}
