//! What each command that was read whole does to the session and to the replies owed. All of these return whether the
//! command is to be forwarded as it stands.

use super::client::ClientAt;
use super::footing::Footing;
use super::noted::Came;
use super::owed::{Change, Doubted, Owed, PubsubKind};
use super::pause::PASSED_MAX;
use super::pop::{Pop, Unread, is_pop};
use super::session::ReplyMode;
use super::verdict::{is_script, is_taking};
use super::{Mode, RespGate};
use crate::dialect::{self, Claim, Keys, Meaning, PopShape, number};
use crate::gate::{Action, Side};
use crate::job::{Found, JobEvent, Millis, System};
use bytes::Bytes;
use std::sync::Arc;

/// Why a pop is not refused.
const UNDECLARED: &str = "from keys that nobody has declared";
/// The same of a script that has returned nothing so far.
const IN_VAIN: &str = "that has found nothing yet";
/// The same of one whose keys are called so, whatever it has returned.
const OF_QUEUE: &str = "over the keys of a queue";
/// The same of one with keys that the operator has declared: its worker may take its jobs by that, whatever else it does.
const OF_DECLARED: &str = "over keys that are declared to hold jobs";
const MAINT_ERROR: &[u8] = b"-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n";

impl RespGate {
    /// A command of `used` bytes that was waited for. `None`: it is not its turn yet; else what was consumed, and whether
    /// it is to be forwarded as it stands.
    pub(super) fn whole(
        &mut self,
        now: Millis,
        args: Vec<Bytes>,
        used: usize,
        text: Bytes,
        out: &mut Vec<Action>,
    ) -> Option<(usize, bool)> {
        let name = args[0].to_ascii_lowercase();
        let forward = match self.footing(&name) {
            Footing::Unsure => self.wait_for_turn(now),
            Footing::Refused => self.plain(),
            Footing::Sure if is_pop(&name) => self.pop_command(now, &name, args, text, out),
            Footing::Sure => self.command(now, &name, args, out),
        };
        self.in_turn(used, forward)
    }

    /// What was consumed of a command, unless its turn is yet to come.
    pub(super) fn in_turn(&self, used: usize, forward: bool) -> Option<(usize, bool)> {
        (!matches!(self.client, ClientAt::Waiting)).then_some((used, forward))
    }

    fn command(&mut self, now: Millis, name: &[u8], args: Vec<Bytes>, out: &mut Vec<Action>) -> bool {
        let in_multi = self.session.transaction.is_some();
        if args.len() == 1
            && let Some(forward) = self.bare(name, out)
        {
            return forward;
        }
        match name {
            // refused for its arguments it ends the transaction all the same
            b"exec" => self.exec(out),
            // within a transaction these two are refused, and not queued
            b"multi" | b"watch" if in_multi => self.owe(Owed::Plain(1)),
            b"auth" => self.auth(args, out),
            b"client" => self.client_command(&args, out),
            b"hello" | b"monitor" | b"sync" | b"psync" if in_multi => self.odd_in_transaction(),
            b"hello" => self.hello(args, out),
            b"monitor" => self.owe_noted(Change::Monitor, vec![]),
            b"sync" | b"psync" => {
                // a replication stream follows, for good
                self.go_opaque(out);
                self.mode != Mode::Closed
            }
            b"subscribe" | b"psubscribe" | b"ssubscribe" | b"unsubscribe" | b"punsubscribe" | b"sunsubscribe" => {
                self.pubsub(name, u32::try_from(args.len() - 1).unwrap_or(u32::MAX))
            }
            b"xread" | b"wait" | b"waitaof" if !in_multi => self.owe(Owed::Blocking),
            _ if is_taking(name) && self.takes_declared(args.get(1).map(Bytes::as_ref)) => {
                self.taken_by_hand(name, out);
                self.script(now, name, args, out)
            }
            // what replicas say in passing is never answered
            b"replconf" if !in_multi && is_passing(&args) => true,
            _ => self.script(now, name, args, out),
        }
    }

    fn pop_command(&mut self, now: Millis, name: &[u8], args: Vec<Bytes>, text: Bytes, out: &mut Vec<Action>) -> bool {
        self.memory.mixed |= name != b"brpop";
        if self.session.subscribed_resp2() {
            // an error, unless what is owed is the end of that
            return self.owed.only_skips() && self.plain() || self.wait_for_turn(now);
        }
        match Pop::read(name, args, text) {
            Err(Unread::TakesNothing) => self.history(out),
            Err(Unread::Unknown) => self.doubted(name, "in a form unknown to the gate", true, &[]),
            Ok(pop) => self.pop(now, Arc::new(pop), out),
        }
    }

    /// A read of what is pending for this consumer.
    fn history(&mut self, out: &mut Vec<Action>) -> bool {
        // a known system's own streams are its jobs' business
        let told = matches!(self.memory.system, System::Unknown | System::Taskiq);
        if !told || self.session.replies != ReplyMode::On {
            return self.plain();
        }
        out.push(Action::Event(JobEvent::Acknowledges));
        self.owe_request(dialect::streams::history(), false)
    }

    /// A well-formed pop on a connection that is not for messages only.
    pub(super) fn pop(&mut self, now: Millis, pop: Arc<Pop>, out: &mut Vec<Action>) -> bool {
        let name = pop.name();
        if !pop.is_blocking() && self.memory.lists.has(&pop.keys()[0]) {
            let request = dialect::lists::taken_out(&pop.keys()[0], pop.destination().is_some());
            return self.request(now, name, pop.args().to_vec(), request, out);
        }
        let claim = self.claim(&pop);
        if !claim.brings_something() {
            if claim == Claim::NotMine {
                // even if it finds nothing now: the next one may
                self.unrefused(name, UNDECLARED, Found::Job, out);
            }
            let blocking = pop.is_blocking() && self.session.transaction.is_none();
            return if blocking { self.owe(Owed::Blocking) } else { self.plain() };
        }
        if self.session.transaction.is_some() && name == b"xautoclaim" {
            let request = dialect::streams::claim_in_transaction(&pop.keys()[0]);
            return self.request(now, name, pop.args().to_vec(), request, out);
        }
        if self.session.transaction.is_some() {
            self.blocked(name, "inside MULTI", out);
            let queues: Vec<String> = pop.queues().map(|(queue, _)| queue).collect();
            self.passes_pause(&queues, &not_held(name, "inside MULTI"), true, out);
            return self.plain();
        }
        if self.session.replies != ReplyMode::On {
            self.blocked(name, "with its replies switched off", out);
            return self.owe(Owed::Blocking);
        }
        let due = claim == Claim::Due;
        if due {
            out.push(Action::Event(JobEvent::SchedulerReturned));
        }
        self.ask(now, pop, due, out)
    }

    /// Whether `name key`, which answers at once, asks for no job and there is nothing to be told about it.
    pub(super) fn is_plain_pop(&mut self, name: &[u8], key: &[u8]) -> bool {
        // a pause may be about it, or it ends a job
        if !self.pauses.is_empty()
            || self.memory.lists.has(key)
            || !matches!(name, b"lpop" | b"rpop" | b"spop" | b"zpopmin" | b"zpopmax")
        {
            return false;
        }
        if self.is_plain_again(name, key) {
            return true;
        }
        let shape = PopShape { name, keys: Keys::One(key), to: None, blocking: false, forever: false };
        let plain = match self.claim_of(shape) {
            Claim::Pass => true,
            Claim::NotMine => self.has_told(name, UNDECLARED),
            Claim::Fetch | Claim::Due | Claim::Wakeup => false,
        };
        self.memory.mixed |= plain;
        if plain {
            self.keep_plain(name, key);
        }
        plain
    }

    pub(super) fn blocked(&self, name: &[u8], how: &str, out: &mut Vec<Action>) {
        out.push(Action::Event(JobEvent::Blocked(not_held(name, how))));
    }

    /// EVAL, EVALSHA and FCALL: a dialect knows some scripts by their shape. What the others do nobody knows: on a worker
    /// of an unknown system one that returns strings may have taken a job.
    fn script(&mut self, now: Millis, name: &[u8], args: Vec<Bytes>, out: &mut Vec<Action>) -> bool {
        let borrowed: Vec<&[u8]> = std::iter::once(name).chain(args.iter().skip(1).map(|a| a.as_ref())).collect();
        let meaning = self.dialects(out, |memory, events| dialect::command(memory, &borrowed, events));
        let script = is_script(name);
        if script && meaning == Meaning::Nothing {
            out.push(Action::Event(JobEvent::UnknownScript));
        }
        let plain_session = self.session.transaction.is_none() && self.session.replies == ReplyMode::On;
        match meaning {
            Meaning::TakesDue { key, answer } if plain_session => {
                out.push(Action::Event(JobEvent::SchedulerReturned));
                self.ask(now, Arc::new(Pop::script(args, key, answer)), true, out)
            }
            Meaning::Request(request) => self.request(now, name, args, *request, out),
            Meaning::TakesDue { .. } => {
                self.blocked(name, "of due jobs inside MULTI or with its replies switched off", out);
                self.plain()
            }
            Meaning::Note(note) => self.plain_noted(note),
            Meaning::Nothing if script && self.may_fetch(&args) => {
                let keys = script_keys(&args).take(PASSED_MAX);
                let queues: Vec<String> = keys.map(|key| dialect::asked_queue(name, key).0).collect();
                let settings = &self.settings;
                let declared = script_keys(&args).any(|key| settings.fetches(key) && !settings.passes(key));
                let how = if declared { OF_DECLARED } else { "that returns elements" };
                self.doubted(name, how, declared, &queues)
            }
            Meaning::Nothing | Meaning::Passes => self.plain(),
        }
    }

    /// Whether a script of which nothing is known has keys that may hold jobs, or hides them.
    fn may_fetch(&self, args: &[Bytes]) -> bool {
        let mut keys = script_keys(args).peekable();
        self.memory.system == System::Unknown && (keys.peek().is_none() || keys.any(|k| !self.settings.passes(k)))
    }

    /// A command that the gate lets through although a job may come of it. `sure` is as in [`Doubted`].
    pub(super) fn doubted(&mut self, name: &[u8], how: &'static str, sure: bool, queues: &[String]) -> bool {
        let doubted = Doubted { name: name.to_vec(), how, sure, queues: queues.to_vec() };
        let Some(transaction) = &mut self.session.transaction else {
            return self.owe_noted(Change::Unrefused(doubted), vec![]);
        };
        transaction.doubt(doubted);
        self.plain()
    }

    /// It has been answered.
    pub(super) fn came(&mut self, doubted: &Doubted, came: Came, out: &mut Vec<Action>) {
        match (came, doubted.sure) {
            (Came::Else, _) => return,
            (_, true) => self.blocked(&doubted.name, doubted.how, out),
            (_, false) if dialect::are_of_queue(&doubted.queues) => {
                self.unrefused(&doubted.name, OF_QUEUE, Found::Job, out);
            }
            (Came::Something, false) => self.unrefused(&doubted.name, doubted.how, Found::Something, out),
            (Came::Nothing, false) => self.unrefused(&doubted.name, IN_VAIN, Found::Nothing, out),
        }
        self.passes_pause(&doubted.queues, &not_held(&doubted.name, doubted.how), doubted.sure, out);
    }

    /// Told once: such commands may come by the thousand.
    fn unrefused(&mut self, name: &[u8], how: &'static str, found: Found, out: &mut Vec<Action>) {
        if !self.has_told(name, how) {
            self.told.unrefused.push((name.to_vec(), how));
            let reason = not_held(name, how);
            out.push(Action::Event(JobEvent::Unrefused { why: reason, found }));
        }
    }

    /// Who takes jobs so reads them first, or afterwards under another name. Told once.
    fn taken_by_hand(&mut self, name: &[u8], out: &mut Vec<Action>) {
        if !self.has_told(name, OF_DECLARED) {
            self.told.unrefused.push((name.to_vec(), OF_DECLARED));
            self.blocked(name, OF_DECLARED, out);
        }
    }

    fn has_told(&self, name: &[u8], how: &'static str) -> bool {
        self.told.unrefused.iter().any(|told| told.0 == name && told.1 == how)
    }

    /// A (un)subscribe command with `count` arguments. Its confirmations come even with replies switched off.
    pub(super) fn pubsub(&mut self, name: &[u8], count: u32) -> bool {
        if self.session.transaction.is_some() {
            return self.odd_in_transaction();
        }
        let kind = match name {
            b"psubscribe" | b"punsubscribe" => PubsubKind::Patterns,
            b"ssubscribe" | b"sunsubscribe" => PubsubKind::Shards,
            _ => PubsubKind::Channels,
        };
        let everything = name.contains(&b'n') && count == 0;
        if count == 0 && !everything {
            // an error
            return self.owe(Owed::Plain(1));
        }
        let quiet = self.session.replies != ReplyMode::On;
        if self.session.replies == ReplyMode::SkipNext {
            self.session.replies = ReplyMode::On;
        }
        self.owed.push(Owed::Pubsub { kind, left: (!everything).then_some(count), quiet });
        true
    }

    fn client_command(&mut self, args: &[Bytes], out: &mut Vec<Action>) -> bool {
        let word = |i: usize| args.get(i).map(|a: &Bytes| a.to_ascii_lowercase()).unwrap_or_default();
        match (word(1).as_slice(), args.len()) {
            // it would lead the client past the gate: managed servers push their real address
            (b"maint_notifications", _) => {
                self.owe(Owed::Answer(Bytes::from_static(MAINT_ERROR)));
                self.settle_front(out);
                false
            }
            (b"reply", 3) if self.session.transaction.is_some() => self.odd_in_transaction(),
            (b"reply", 3) => match word(2).as_slice() {
                b"on" => {
                    self.session.replies = ReplyMode::On;
                    self.owe(Owed::Plain(1))
                }
                b"off" => {
                    self.session.replies = ReplyMode::Off;
                    true
                }
                b"skip" => {
                    if self.session.replies == ReplyMode::On {
                        self.session.replies = ReplyMode::SkipNext;
                    }
                    true
                }
                _ => self.owe(Owed::Plain(1)),
            },
            (b"setname", 3) => {
                out.push(Action::Event(JobEvent::ClientNamed(String::from_utf8_lossy(&args[2]).into_owned())));
                self.plain()
            }
            _ => self.plain(),
        }
    }

    fn auth(&mut self, mut args: Vec<Bytes>, out: &mut Vec<Action>) -> bool {
        if args.len() != 3 {
            return self.plain();
        }
        let retagged = self.strip_tag(&mut args[1], out);
        let user = String::from_utf8_lossy(&args[1]).into_owned();
        if self.session.transaction.is_some() {
            self.plain();
        } else {
            self.owe_noted(Change::Auth { user }, vec![]);
        }
        self.forward_or_send(retagged, &args, out)
    }

    /// `HELLO [protover [AUTH user password] [SETNAME name]]`
    fn hello(&mut self, mut args: Vec<Bytes>, out: &mut Vec<Action>) -> bool {
        let three = args.get(1).and_then(|v| match v.as_ref() {
            b"3" => Some(true),
            b"2" => Some(false),
            _ => None,
        });
        let (mut user, mut name, mut retagged, mut at) = (None, None, false, 2);
        while at < args.len() {
            if args[at].eq_ignore_ascii_case(b"auth") && at + 2 < args.len() {
                retagged |= self.strip_tag(&mut args[at + 1], out);
                user = Some(String::from_utf8_lossy(&args[at + 1]).into_owned());
                at += 3;
            } else if args[at].eq_ignore_ascii_case(b"setname") && at + 1 < args.len() {
                name = Some(String::from_utf8_lossy(&args[at + 1]).into_owned());
                at += 2;
            } else {
                break;
            }
        }
        self.owe_noted(Change::Hello { three, user, name }, vec![]);
        self.forward_or_send(retagged, &args, out)
    }

    fn forward_or_send(&mut self, changed: bool, args: &[Bytes], out: &mut Vec<Action>) -> bool {
        if changed {
            self.send(Side::Broker, super::encode::encode(args), out);
        }
        !changed
    }

    /// Takes the tag out of `user+tag`.
    fn strip_tag(&mut self, user: &mut Bytes, out: &mut Vec<Action>) -> bool {
        if !self.settings.user_tag {
            return false;
        }
        let Some(plus) = memchr::memrchr(b'+', user) else { return false };
        if plus + 1 < user.len() {
            out.push(Action::Event(JobEvent::Tagged(String::from_utf8_lossy(&user[plus + 1..]).into_owned())));
        }
        *user = user.slice(..plus);
        true
    }
}

/// `REPLCONF ACK offset`, `REPLCONF GETACK *`
fn is_passing(args: &[Bytes]) -> bool {
    args.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"ack") || word.eq_ignore_ascii_case(b"getack"))
}

/// A line for the worker's `blocked`.
fn not_held(name: &[u8], how: &str) -> String {
    format!("it fetches by {} {how}, which cannot be held", String::from_utf8_lossy(name).to_ascii_uppercase())
}

/// What a script says are its keys.
fn script_keys(args: &[Bytes]) -> impl Iterator<Item = &Bytes> {
    let count = args.get(2).and_then(|count| number(count)).unwrap_or(0);
    args.iter().skip(3).take(count)
}
