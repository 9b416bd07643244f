//! The way of the bytes: frame by frame, forwarded from where they lie unless a method says otherwise.

use super::frame::{AROUND, At, END, Head, Kind, NotAmqp, WHOLE_MAX};
use super::{AmqpGate, Mode, Wait, method};
use crate::gate::run::Run;
use crate::gate::{Action, GateError, Side};
use crate::job::JobEvent;
use bytes::Bytes;

/// What becomes of a frame.
pub(super) enum Verdict {
    /// Forwarded.
    Pass,
    /// Consumed, and not forwarded.
    Swallow,
    /// Something else is forwarded instead.
    Replace(Bytes),
    /// Not consumed yet.
    Wait(Wait),
    /// It must not be; why.
    Refuse(String),
}

impl Verdict {
    /// It goes on under another tag, if there is one.
    pub(super) fn with_tag(channel: u16, payload: &[u8], tag: Option<Vec<u8>>) -> Verdict {
        let patched = tag.and_then(|tag| method::with_tag(channel, payload, &tag));
        patched.map_or(Verdict::Pass, Verdict::Replace)
    }
}

/// What became of the input at hand.
pub(super) enum Step {
    /// More bytes are needed, or the client has to wait.
    Rest,
    /// So many bytes pass.
    Pass(usize),
    /// So many bytes do not.
    Drop(usize, Option<Bytes>),
    Lost(&'static str),
    Refuse(String),
}

impl Step {
    /// So many bytes pass, unless they are for the gate alone.
    pub(super) fn pass(n: usize, kept: bool) -> Step {
        if kept { Step::Drop(n, None) } else { Step::Pass(n) }
    }
}

impl AmqpGate {
    pub(super) fn relay(&mut self, from: Side, input: &[u8], out: &mut Vec<Action>) -> usize {
        let mut at = 0;
        let mut run = Run::default();
        while at < input.len() && self.mode == Mode::Running {
            if self.at[from as usize] == At::Boundary {
                if from == Side::Client {
                    self.cancel_overdue();
                }
                if !self.outbox[from.other() as usize].is_empty() {
                    run.flush(out);
                    self.post(from.other(), out);
                }
                if from == Side::Client && self.keeps_client() {
                    break;
                }
                let walked = self.walk(from, &input[at..], out);
                if walked > 0 {
                    run.pass(at..at + walked, out);
                    at += walked;
                    continue;
                }
            }
            match self.step(from, &input[at..], out) {
                Step::Rest => break,
                Step::Pass(n) => {
                    run.pass(at..at + n, out);
                    at += n;
                }
                Step::Drop(n, instead) => {
                    run.flush(out);
                    if let Some(bytes) = instead {
                        out.push(Action::Send { to: from.other(), bytes });
                    }
                    at += n;
                }
                Step::Lost(what) => {
                    run.flush(out);
                    self.lost(from, what, out);
                }
                Step::Refuse(what) => {
                    run.flush(out);
                    self.close(Err(GateError::OutOfStep { side: from, what }), out);
                }
            }
        }
        run.flush(out);
        if from == Side::Client && at > 0 {
            self.forwarded = self.now;
        }
        match self.mode {
            Mode::Running => at,
            Mode::Opaque if at < input.len() => {
                out.push(Action::Forward(at..input.len()));
                input.len()
            }
            _ => input.len(),
        }
    }

    /// One frame, or as much of it as is there.
    fn step(&mut self, from: Side, input: &[u8], out: &mut Vec<Action>) -> Step {
        match *self.at(from) {
            At::Greeting => self.greeting(input),
            At::Passing { left, tap } => self.pass_on(from, input, left, tap, out),
            At::Dropping { left } => self.drop_more(from, input, left),
            At::Boundary => match Head::read(input) {
                // a broker that does not speak the client's version answers with a greeting of its own and leaves
                Err(_) if from == Side::Broker && input[0] == b'A' => Step::Lost("a greeting instead of a frame"),
                Err(NotAmqp(what)) => Step::Lost(what),
                Ok(None) => Step::Rest,
                Ok(Some(head)) => self.frame(from, head, input, out),
            },
        }
    }

    fn frame(&mut self, from: Side, head: Head, input: &[u8], out: &mut Vec<Action>) -> Step {
        let content = matches!(head.kind, Kind::Header | Kind::Body);
        if from == Side::Broker && content && self.is_own(head.channel) {
            if head.kind == Kind::Header
                && let Some(rest) = self.anchored(head, input)
            {
                return rest;
            }
            *self.at(from) = At::Dropping { left: head.whole() };
            return self.step(from, input, out);
        }
        let wanted = match head.kind {
            Kind::Method => head.size <= WHOLE_MAX,
            Kind::Header => self.wants_header(from, head),
            Kind::Body | Kind::Heartbeat => false,
        };
        if !wanted {
            return self.stream(from, head, input, out);
        }
        let Some(frame) = input.get(..head.whole()) else { return Step::Rest };
        if frame[head.whole() - 1] != END {
            return Step::Lost("a frame without its end octet");
        }
        let payload = &frame[AROUND - 1..head.whole() - 1];
        if head.kind == Kind::Header {
            let kept = self.is_kept(from, head.channel);
            self.header(from, head.channel, payload, out);
            return Step::pass(head.whole(), kept);
        }
        let Some(id) = method::id(payload) else { return Step::Lost("a method frame without a method") };
        if self.channels.get(&head.channel).is_some_and(|c| c.is_open() && !c.is_clear(from)) {
            return Step::Lost("a method inside a message");
        }
        let verdict = match from {
            Side::Client => self.client_method(head.channel, id, payload, out),
            Side::Broker => self.broker_method(head.channel, id, payload, out),
        };
        match verdict {
            Verdict::Pass => Step::Pass(head.whole()),
            Verdict::Swallow => Step::Drop(head.whole(), None),
            Verdict::Replace(bytes) => Step::Drop(head.whole(), Some(bytes)),
            Verdict::Refuse(what) => Step::Refuse(what),
            // nothing is kept back from a client that has ended: the broker hears all that it has sent. Nor is it of a
            // connection that is being closed: behind it comes the close-ok
            Verdict::Wait(_) if self.ending || self.closing => Step::Pass(head.whole()),
            Verdict::Wait(wait) => {
                self.wait = Some(wait);
                Step::Rest
            }
        }
    }

    /// More of a message to the gate itself.
    fn drop_more(&mut self, from: Side, input: &[u8], left: usize) -> Step {
        let n = left.min(input.len());
        if n == left && input[n - 1] != END {
            return Step::Lost("a frame without its end octet");
        }
        *self.at(from) = if n < left { At::Dropping { left: left - n } } else { At::Boundary };
        Step::Drop(n, None)
    }

    /// Framing is lost, or a side does what the protocol does not allow. The broker gets it as it is, for its own
    /// answer, if that harms nobody.
    fn lost(&mut self, side: Side, what: &str, out: &mut Vec<Action>) {
        if self.marked || !self.is_plain() {
            if self.at[Side::Client as usize] == At::Greeting {
                out.push(Action::Send { to: Side::Client, bytes: Bytes::from_static(super::content::GREETING) });
            }
            return self.close(Err(GateError::OutOfStep { side, what: what.to_owned() }), out);
        }
        self.mode = Mode::Opaque;
        self.odd = Some(GateError::OutOfStep { side, what: what.to_owned() });
        out.push(Action::Event(JobEvent::Opaque));
    }
}
