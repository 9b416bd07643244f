//! The client's side: commands are recognised by their head, the few that matter are read whole, and each one is
//! entered into the replies owed.

use super::command::{Head, NAME_MAX, TAP_MAX, Tail, read_beginning, read_head, read_tapped, read_whole, split_inline};
use super::owed::{Change, Noted, Owed};
use super::pop::is_pop;
use super::request::{Judged, Watch};
use super::scan::NotResp;
use super::session::ReplyMode;
use super::verdict::{Name, Verdict, is_script};
use super::{Mode, RespGate};
use crate::dialect::{self, Meaning, Note};
use crate::gate::run::Run;
use crate::gate::{Action, Gate, Side};
use crate::job::{JobEvent, Millis, System};
use crate::question::ANSWER_MAX;
use bytes::Bytes;

/// A command of more bytes than this is not waited for: it streams, and is no fetch that the gate can hold.
const WHOLE_MAX: usize = 128 * 1024;

/// ```text
/// Start ──head read──▶ Tail ──end of command──▶ Start
///   │ │                 └─not RESP──▶ Garbage
///   │ └─blocking fetch, replies owed──▶ Waiting ──all answered──▶ Start
///   └─not a command──▶ Broken (waits until nothing is owed, then the connection is opaque)
/// ```
#[derive(Debug)]
pub(super) enum ClientAt {
    /// Between commands.
    Start,
    /// In a command that streams through.
    Tail {
        tail: Tail,
        /// Whether somebody reads along.
        tapped: bool,
        /// An argument that is judged when it passes.
        watch: Option<Watch>,
        /// It is an answer to a question of the gate's own, and goes nowhere.
        swallowed: bool,
    },
    /// A blocking fetch comes next. It is judged when all replies before it have come: then its time-out begins.
    Waiting,
    /// What follows is not RESP.
    Broken,
    /// Not RESP in the middle of a command that has been forwarded in part: the broker gets the rest too, answers
    /// the command with its own error and closes.
    Garbage,
}

impl ClientAt {
    /// Whether a command of the gate's own can be sent now.
    pub(super) fn at_boundary(&self) -> bool {
        matches!(self, ClientAt::Start | ClientAt::Waiting | ClientAt::Broken | ClientAt::Tail { swallowed: true, .. })
    }
}

impl RespGate {
    pub(super) fn client_input(&mut self, now: Millis, input: &[u8], out: &mut Vec<Action>) -> usize {
        let mut at = 0;
        let mut run = Run::default();
        while at < input.len() && self.mode == Mode::Running {
            let end = match self.client {
                ClientAt::Tail { .. } => self.tail(&input[at..], &mut run, out),
                ClientAt::Start | ClientAt::Waiting if self.wants(Side::Client) => {
                    match self.again(now, &input[at..], &mut run, out) {
                        Some(judged) => judged,
                        None => match self.quick_commands(&input[at..], out) {
                            0 => self.start(now, &input[at..], &mut run, out),
                            used => Some((used, true)),
                        },
                    }
                }
                ClientAt::Garbage => Some((input.len() - at, true)),
                _ => break,
            };
            let Some((used, forward)) = end else { break };
            if forward {
                run.pass(at..at + used, out);
            }
            at += used;
            if used == 0 {
                break;
            }
        }
        run.flush(out);
        match self.mode {
            Mode::Opaque if at < input.len() => {
                out.push(Action::Forward(at..input.len()));
                input.len()
            }
            Mode::Closed => input.len(),
            _ => at,
        }
    }

    /// Goes on with a command that streams through.
    fn tail(&mut self, buf: &[u8], run: &mut Run, out: &mut Vec<Action>) -> Option<(usize, bool)> {
        let ClientAt::Tail { tail, watch, .. } = &mut self.client else { return None };
        if let Some(watch) = watch.take_if(|watch| tail.stands_before(watch.left)) {
            let judged = self.watched(watch, buf, run, out);
            let ClientAt::Tail { tail, watch: again, .. } = &mut self.client else { return None };
            match judged {
                Judged::Passes => {}
                Judged::More => {
                    *again = Some(watch);
                    return None;
                }
                Judged::Replaced(used) => {
                    if tail.skip() {
                        self.client = ClientAt::Start;
                    }
                    return Some((used, false));
                }
            }
        }
        let ClientAt::Tail { tail, watch, swallowed, .. } = &mut self.client else { return None };
        let swallowed = *swallowed;
        match tail.advance(buf, watch.map_or(0, |watch| watch.left)) {
            Ok((used, false)) => Some((used, !swallowed)),
            Ok((used, true)) => {
                if let ClientAt::Tail { tail, tapped: true, .. } = std::mem::replace(&mut self.client, ClientAt::Start)
                {
                    let args = tail.into_tapped().unwrap_or_default();
                    if swallowed { self.answered_question(&args, out) } else { self.tapped(&borrowed(&args), out) }
                }
                Some((used, !swallowed))
            }
            Err(NotResp(what)) => {
                self.client = ClientAt::Garbage;
                if self.marked || swallowed {
                    self.out_of_step(Side::Client, what, out);
                    return None;
                }
                out.push(Action::Event(JobEvent::Opaque));
                Some((buf.len(), true))
            }
        }
    }

    /// Begins the command at the start of `buf`. Returns how many bytes were used and whether they are to be forwarded.
    /// Before bytes of the gate's own can be sent, the `run` consumed before must leave.
    fn start(&mut self, now: Millis, buf: &[u8], run: &mut Run, out: &mut Vec<Action>) -> Option<(usize, bool)> {
        self.client = ClientAt::Start;
        match read_head(buf) {
            Head::More => None,
            Head::Nothing(used) => Some((used, true)),
            Head::Bad(_) => {
                self.client = ClientAt::Broken;
                run.flush(out);
                self.settle_broken(out);
                None
            }
            Head::Inline(used) => {
                run.flush(out);
                match split_inline(&buf[..used]) {
                    Some(args) if !args.is_empty() => self.whole(now, args, used, Bytes::new(), out),
                    // unbalanced quotes: the broker's own error
                    _ => Some((used, self.owe(Owed::Plain(1)))),
                }
            }
            Head::Array { argc, name, first, rest, left } => {
                let (name, first) = (&buf[name], first.map(|f| &buf[f]));
                let mut lower = [0; NAME_MAX];
                let lower = &mut lower[..name.len()];
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                match self.verdict(Name::of(lower), argc as usize, first) {
                    Verdict::Whole => return self.waited(now, lower, (argc, rest, left), buf, run, out),
                    Verdict::Tap => {
                        if let Some((args, kept, used)) = read_tapped(lower, buf) {
                            self.tapped(&args[..kept], out);
                            return Some((used, true));
                        }
                        let read = [lower, first.unwrap_or_default()].map(|a| a[..a.len().min(TAP_MAX)].to_vec());
                        self.stream(left, Some(read.to_vec()), out);
                    }
                    Verdict::Answer => {
                        let head = [name, first.unwrap_or_default()].map(<[u8]>::to_vec).into();
                        let tail = Tail::new(left, Some(head)).with_room(ANSWER_MAX);
                        self.client = ClientAt::Tail { tail, tapped: true, watch: None, swallowed: true };
                        return Some((rest, false));
                    }
                    Verdict::Pubsub => {
                        self.pubsub(lower, argc - 1);
                        self.stream(left, None, out);
                    }
                    Verdict::Stream => {
                        self.plain();
                        self.stream(left, None, out);
                    }
                    Verdict::Wait => return self.wait_for_turn(now).then_some((rest, true)),
                }
                Some((rest, true))
            }
        }
    }

    /// A command that is to be read whole. Of its arguments `left` stand behind `rest`.
    fn waited(
        &mut self,
        now: Millis,
        name: &[u8],
        (argc, rest, left): (u32, usize, u32),
        buf: &[u8],
        run: &mut Run,
        out: &mut Vec<Action>,
    ) -> Option<(usize, bool)> {
        if argc == 1 {
            run.flush(out);
            if let Some(forward) = self.bare(name, out) {
                return Some((rest, forward));
            }
        }
        match read_whole(buf) {
            Ok(None) if buf.len() < WHOLE_MAX => return None,
            Ok(Some((args, text))) if text.len() <= WHOLE_MAX => {
                run.flush(out);
                return self.whole(now, args, text.len(), text, out);
            }
            Ok(_) if is_pop(name) => {
                self.blocked(name, "with too many arguments", out);
                self.plain();
                self.stream(left, None, out);
            }
            Ok(_) if is_script(name) => self.long_script(name, argc, left, buf, out),
            _ => {
                self.plain();
                self.stream(left, None, out);
            }
        }
        Some((rest, true))
    }

    /// A script whose arguments are too long to be waited for: its beginning tells.
    fn long_script(&mut self, name: &[u8], argc: u32, left: u32, buf: &[u8], out: &mut Vec<Action>) {
        let mut args = read_beginning(buf);
        if let Some(first) = args.first_mut() {
            *first = name;
        }
        let meaning = self.dialects(out, |memory, events| dialect::command(memory, &args, events));
        let mut watch = None;
        if meaning == Meaning::Nothing {
            out.push(Action::Event(JobEvent::UnknownScript));
        }
        match meaning {
            Meaning::Request(request) => watch = self.long_request(name, argc, *request, out),
            _ if self.memory.system == System::Unknown => {
                self.doubted(name, "with arguments too long to be read", false, &[]);
            }
            _ => {
                self.plain();
            }
        }
        self.stream(left, None, out);
        if let ClientAt::Tail { watch: none, .. } = &mut self.client {
            *none = watch;
        }
    }

    /// Lets the `left` arguments that are still to come stream through.
    fn stream(&mut self, left: u32, tap: Option<Vec<Vec<u8>>>, out: &mut Vec<Action>) {
        let tapped = tap.is_some();
        self.client = match tap {
            Some(args) if left == 0 => {
                self.tapped(&borrowed(&args), out);
                ClientAt::Start
            }
            None if left == 0 => ClientAt::Start,
            tap => ClientAt::Tail { tail: Tail::new(left, tap), tapped, watch: None, swallowed: false },
        };
    }

    /// Enters a reply into what is owed, if this command has one. Returns true for the caller's convenience: the
    /// command is forwarded.
    pub(super) fn owe(&mut self, owed: Owed) -> bool {
        match self.session.replies {
            ReplyMode::On => self.owed.push(owed),
            ReplyMode::SkipNext => self.session.replies = ReplyMode::On,
            ReplyMode::Off => {}
        }
        true
    }

    /// A command with one ordinary reply.
    pub(super) fn plain(&mut self) -> bool {
        if let Some(transaction) = &mut self.session.transaction {
            transaction.queued += 1;
        }
        self.owe(Owed::Plain(1))
    }

    /// The same, and its reply confirms something; within a transaction its EXEC does.
    pub(super) fn plain_noted(&mut self, note: Note) -> bool {
        let Some(transaction) = &mut self.session.transaction else {
            return self.owe_noted(Change::None, vec![(0, note)]);
        };
        transaction.note(note);
        self.plain()
    }

    pub(super) fn owe_noted(&mut self, change: Change, notes: Vec<(u32, Note)>) -> bool {
        self.owe(Owed::Noted(Box::new(Noted { change, notes })))
    }

    /// A command that a dialect read along has been forwarded.
    pub(super) fn tapped(&mut self, args: &[&[u8]], out: &mut Vec<Action>) {
        let meaning = self.dialects(out, |memory, events| dialect::wanted_command(memory, args, events));
        match meaning {
            Meaning::Note(note) => self.plain_noted(note),
            Meaning::Request(request) if self.session.replies == ReplyMode::On => self.owe_request(*request, false),
            _ => self.plain(),
        };
    }

    /// What the client sends is not RESP. The broker gets it as it is, for its own error, once nothing is owed: then
    /// the connection is a blind pipe. A marked worker's connection must not be one.
    pub(super) fn settle_broken(&mut self, out: &mut Vec<Action>) {
        if !matches!(self.client, ClientAt::Broken) || !self.owed.is_empty() || self.mode != Mode::Running {
            return;
        }
        if self.marked {
            self.send(Side::Client, Bytes::from_static(b"-ERR Protocol error: invalid request\r\n"), out);
            return self.out_of_step(Side::Client, "a request that is not RESP", out);
        }
        self.go_opaque(out);
    }
}

fn borrowed(args: &[Vec<u8>]) -> Vec<&[u8]> {
    args.iter().map(Vec::as_slice).collect()
}
