//! The same fetch again: a worker that waits for jobs sends one and the same command over and over. It is read and claimed
//! once; while the same bytes come, and nothing has been learnt of the connection, what was found is still true. All else
//! (marks, pauses, transactions, whose turn it is) is judged anew each time, by the code that judges every fetch.

use super::RespGate;
use super::claim::shape;
use super::client::ClientAt;
use super::pop::Pop;
use crate::dialect::{self, Claim, Known};
use crate::gate::Action;
use crate::gate::run::Run;
use crate::job::Millis;
use crate::rare::Blank;
use bytes::Bytes;
use std::sync::Arc;

/// A longer command is not kept.
const TEXT_MAX: usize = 4_096;

/// What came last, and will probably come next.
#[derive(Debug, Default)]
pub(super) struct Latest {
    fetch: Option<Last>,
    plain: Option<Box<PlainPop>>,
}

impl Blank for Latest {
    const BLANK: &'static Latest = &Latest { fetch: None, plain: None };
}

/// The last fetch, and what was found of it.
#[derive(Debug)]
pub(super) struct Last {
    pop: Arc<Pop>,
    /// What was known then: the claim and the list depend on nothing else.
    known: Known,
    claim: Claim,
    list: Option<Bytes>,
    queues: Arc<[String]>,
    /// Which of its keys the last job came from, and what that queue is called.
    from: Option<(usize, Arc<str>)>,
}

/// The last pop that asks for no job, and of which there is nothing to be told.
#[derive(Debug)]
pub(super) struct PlainPop {
    name: Vec<u8>,
    key: Vec<u8>,
    known: Known,
}

impl RespGate {
    /// Whether that was this one. (What has been told of its keys stays told.)
    pub(super) fn is_plain_again(&self, name: &[u8], key: &[u8]) -> bool {
        let is = |last: &PlainPop| last.key == key && last.name == name && last.known == self.memory.known();
        self.latest.plain.as_deref().is_some_and(is)
    }

    pub(super) fn keep_plain(&mut self, name: &[u8], key: &[u8]) {
        let known = self.memory.known();
        let last = self.latest.plain.get_or_insert_with(|| Box::new(PlainPop { name: vec![], key: vec![], known }));
        last.known = known;
        for (text, now) in [(&mut last.name, name), (&mut last.key, key)] {
            text.clear();
            text.extend_from_slice(now);
        }
    }

    /// The command at the start of `buf`, if it is the last fetch again, to the byte. Returns what [`RespGate::start`]
    /// would.
    #[inline]
    pub(super) fn again(
        &mut self,
        now: Millis,
        buf: &[u8],
        run: &mut Run,
        out: &mut Vec<Action>,
    ) -> Option<Option<(usize, bool)>> {
        let last = self.latest.fetch.as_ref().filter(|last| buf.starts_with(&last.pop.text))?;
        if self.session.subscribed_resp2() {
            return None;
        }
        let pop = Arc::clone(&last.pop);
        let used = pop.text.len();
        self.client = ClientAt::Start;
        run.flush(out);
        let forward = self.pop(now, pop, out);
        Some(self.in_turn(used, forward))
    }

    /// What has been found of a fetch and is still true.
    pub(super) fn found(&self, pop: &Pop) -> Option<&Last> {
        self.latest
            .fetch
            .as_ref()
            .filter(|last| std::ptr::eq(&raw const *last.pop, pop) && last.known == self.memory.known())
    }

    /// The queues that a fetch asks for, as they are told. It is kept for the next time.
    pub(super) fn queues_of(&mut self, pop: &Arc<Pop>) -> Arc<[String]> {
        if let Some(last) = self.found(pop) {
            return Arc::clone(&last.queues);
        }
        let mut queues: Vec<String> = pop.queues().map(|(queue, _)| queue).collect();
        queues.dedup();
        let queues = Arc::from(queues);
        // XCLAIM depends on what has been read before
        let is_kept = !matches!(pop.name(), b"" | b"xclaim") && (1..=TEXT_MAX).contains(&pop.text.len());
        self.latest.fetch = is_kept.then(|| {
            let (known, claim, list) = (self.memory.known(), self.claim_of(shape(pop)), self.private_list(pop));
            Last { pop: Arc::clone(pop), known, claim, list, queues: Arc::clone(&queues), from: None }
        });
        queues
    }

    /// What the queue is called that a job came from.
    pub(super) fn queue_of(&mut self, pop: &Pop, key: &[u8]) -> Arc<str> {
        let name = || Arc::<str>::from(dialect::queue_name(key));
        let is_last = |last: &&mut Last| std::ptr::eq(&raw const *last.pop, pop);
        let Some(last) = self.latest.fetch.as_mut().filter(is_last) else { return name() };
        if let Some((_, queue)) = last.from.as_ref().filter(|(at, _)| pop.keys()[*at] == key) {
            return Arc::clone(queue);
        }
        let queue = name();
        last.from = pop.keys().iter().position(|asked| asked == key).map(|at| (at, Arc::clone(&queue)));
        queue
    }
}

impl Last {
    /// See [`RespGate::claim_of`].
    pub(super) fn claim(&self) -> Claim {
        self.claim
    }

    /// See [`RespGate::private_list`].
    pub(super) fn list(&self) -> Option<&Bytes> {
        self.list.as_ref()
    }
}
