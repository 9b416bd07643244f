//! Commands that are never answered. A blocking fetch waits for the replies before it; if one of them will never come
//! (`REPLCONF ACK` has none, and a module's command may have none), it would wait for ever. After a while the gate asks
//! a question whose reply can be told from all others: what is still owed when it comes had no reply.

use super::client::ClientAt;
use super::owed::Owed;
use super::session::ReplyMode;
use super::{Mode, RespGate};
use crate::gate::{Action, Side};
use crate::job::{FetchEnd, Millis, Place};
use bytes::Bytes;

/// So long a fetch waits for the replies before it until the gate asks. An honest reply may take longer: it comes before
/// that to the question, and nothing has happened.
const PATIENCE: Millis = 1_000;

impl RespGate {
    /// When the gate will ask.
    pub(super) fn sync_due(&self) -> Option<Millis> {
        // asked after every read, and hardly ever so
        if !matches!(self.client, ClientAt::Waiting) {
            return None;
        }
        let waits = !self.owed.only_skips() && self.owed.sync().is_none();
        let may_ask = self.session.transaction.is_none()
            && self.session.replies == ReplyMode::On
            && !self.session.subscribed_resp2()
            && !self.owed.has_odd();
        (waits && may_ask && self.mode == Mode::Running).then_some(self.waiting_since + PATIENCE)
    }

    pub(super) fn sync_if_due(&mut self, now: Millis, out: &mut Vec<Action>) {
        if self.sync_due().is_none_or(|due| now < due) {
            return;
        }
        let text = format!("draingate:{:x}:{now:x}", self.memory.seed);
        let bulk = format!("${}\r\n{text}\r\n", text.len());
        self.send(Side::Broker, Bytes::from(format!("*2\r\n$4\r\nPING\r\n{bulk}")), out);
        self.owed.push(Owed::Sync(Bytes::from(bulk)));
    }

    /// Whether the value at the start of `buf` is the reply to the question; `None`: too little of it is there to tell.
    pub(super) fn is_sync(&self, buf: &[u8]) -> Option<bool> {
        let Some(reply) = self.owed.sync() else { return Some(false) };
        let there = buf.len().min(reply.len());
        if reply[..there] != buf[..there] {
            return Some(false);
        }
        (there == reply.len()).then_some(true)
    }

    /// It is: nothing before it will be answered any more.
    pub(super) fn synced(&mut self, out: &mut Vec<Action>) {
        for owed in self.owed.skip_to_sync() {
            if let Owed::Fetch(fetch) = owed {
                self.answered(Place::Broker, FetchEnd::Error, fetch.pop.is_blocking(), out);
            }
        }
    }
}
