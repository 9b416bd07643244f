//! The gate's own question: on a connection that has subscribed to remote control it comes as if the broker had published
//! it; the answer, an LPUSH on any other connection of the worker, is read along and answered here. The broker never
//! hears of either.

use super::empty::Proto;
use super::encode::{bulk, header};
use super::owed::{Owed, PubsubKind};
use super::reply::Reading;
use super::{Mode, RespGate};
use crate::dialect::inspect;
use crate::gate::{Action, Side};
use crate::job::JobEvent;
use crate::question::{Answer, Question, addressed};
use crate::rare::{Blank, Rare};
use bytes::Bytes;

/// What a connection needs for it.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// The subscription by which remote control comes.
    mailbox: Option<Mailbox>,
    /// Waits for the end of what the broker is saying.
    question: Option<Question>,
}

impl Blank for Asking {
    const BLANK: &'static Asking = &Asking { mailbox: None, question: None };
}

#[derive(Debug, PartialEq, Eq)]
struct Mailbox {
    kind: PubsubKind,
    name: Vec<u8>,
}

impl Asking {
    /// The newest question counts.
    pub(super) fn wants(&mut self, question: Question) {
        self.question = Some(question);
    }
}

impl RespGate {
    /// A subscription was confirmed, or its end. Remote control may come by it, and so may tasks, which nobody can refuse.
    pub(super) fn note_mailbox(&mut self, reading: &Reading, out: &mut Vec<Action>) {
        let (Some(word), Some(name)) = (reading.leaves.get(0), reading.leaves.get(1)) else { return };
        let kind = match word.content {
            b"subscribe" | b"unsubscribe" => PubsubKind::Channels,
            b"psubscribe" | b"punsubscribe" => PubsubKind::Patterns,
            _ => return,
        };
        let begins = !word.content.contains(&b'n');
        let mailbox = Mailbox { kind, name: name.content.to_vec() };
        if let Some(exchange) = inspect::fanout(&mailbox.name).filter(|exchange| !self.settings.passes(exchange)) {
            let exchange = String::from_utf8_lossy(exchange);
            let why = format!("tasks of the exchange {exchange} are published to it (Broadcast), which cannot be held");
            out.push(Action::Event(if begins { JobEvent::Bound(why) } else { JobEvent::Unbound(why) }));
        }
        if begins && inspect::is_mailbox(&mailbox.name) && self.asking.mailbox.is_none() {
            self.asking.mailbox = Some(mailbox);
            out.push(Action::Event(JobEvent::Listens(true)));
        } else if !begins && self.asking.mailbox.as_ref() == Some(&mailbox) {
            self.asking = Rare::default();
            out.push(Action::Event(JobEvent::Listens(false)));
        }
    }

    /// Puts the question that waits, if the broker is between two things that it says.
    pub(super) fn put_question(&mut self, out: &mut Vec<Action>) {
        if self.asking.question.is_none() || self.is_broker_speaking() {
            return;
        }
        let Some(question) = self.asking.question.take() else { return };
        let Some(mailbox) = &self.asking.mailbox else { return };
        let subscribed = self.session.subscriptions(mailbox.kind) > 0;
        if self.mode != Mode::Running || self.session.monitor || !subscribed {
            return;
        }
        let mut bytes = Vec::new();
        for list in question.lists {
            let message = inspect::enveloped_question(&question, *list);
            mailbox.deliver(self.session.proto, message.as_bytes(), &mut bytes);
        }
        self.send(Side::Client, Bytes::from(bytes), out);
    }

    /// Whether `LPUSH first ..` answers a question and can be kept from the broker.
    pub(super) fn is_answer(&self, argc: usize, first: Option<&[u8]>) -> bool {
        let (Some(nonce), Some(key)) = (self.settings.nonce, first) else { return false };
        argc == 3
            && addressed(nonce, key).is_some()
            && self.session.transaction.is_none()
            && !self.session.subscribed_resp2()
    }

    /// It has passed by, and is answered as the broker would.
    pub(super) fn answered_question(&mut self, args: &[Vec<u8>], out: &mut Vec<Action>) {
        if let [_, key, message] = args
            && let Some((number, list)) = self.settings.nonce.and_then(|nonce| addressed(nonce, key))
        {
            let tasks = inspect::enveloped_answer(list, message);
            out.push(Action::Event(JobEvent::Answered(Answer { number, list, tasks })));
        }
        self.owe(Owed::Answer(Bytes::from_static(b":1\r\n")));
        self.settle_front(out);
    }
}

impl Mailbox {
    /// A message as Redis publishes it.
    fn deliver(&self, proto: Proto, message: &[u8], out: &mut Vec<u8>) {
        let kind = if proto == Proto::Three { b'>' } else { b'*' };
        let words: &[&[u8]] = match self.kind {
            PubsubKind::Patterns => &[b"pmessage", &self.name, &self.name, message],
            _ => &[b"message", &self.name, message],
        };
        header(kind, words.len(), out);
        words.iter().for_each(|word| bulk(word, out));
    }
}
