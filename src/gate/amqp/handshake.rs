//! The connection's first methods: who the client says it is, and what both sides agreed on.

use super::frame::Fields;
use super::method;
use super::table::{Entries, Value};
use super::{AmqpGate, Verdict};
use crate::gate::Action;
use crate::job::JobEvent;

/// connection.open, the last of them.
pub(super) const OPEN: method::Id = (10, 40);

/// What tune-ok settled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tuned {
    /// 0: no limit.
    pub(super) channel_max: u16,
    /// 0: no limit.
    frame_max: u32,
}

impl Tuned {
    pub(super) fn read(payload: &[u8]) -> Option<Tuned> {
        let mut fields = Fields(payload.get(4..)?);
        Some(Tuned { channel_max: fields.short()?, frame_max: fields.long()? })
    }

    /// The broker refuses such a frame.
    pub(super) fn is_too_large(&self, frame: usize) -> bool {
        self.frame_max > 0 && frame > self.frame_max as usize
    }
}

/// connection.start-ok.
struct StartOk<'a> {
    /// With its length, as written.
    properties: &'a [u8],
    mechanism: &'a [u8],
    response: &'a [u8],
    locale: &'a [u8],
}

impl<'a> StartOk<'a> {
    fn read(payload: &'a [u8]) -> Option<StartOk<'a>> {
        let after_id = payload.get(4..)?;
        let mut fields = Fields(after_id);
        let length = fields.longstr()?.len() + 4;
        Some(StartOk {
            properties: &after_id[..length],
            mechanism: fields.shortstr()?,
            response: fields.longstr()?,
            locale: fields.shortstr()?,
        })
    }

    /// The user that the client wants to be, as far as the mechanism says it here.
    fn user(&self) -> Option<&'a [u8]> {
        match self.mechanism {
            b"PLAIN" => self.response.split(|b| *b == 0).nth(1),
            b"AMQPLAIN" => match Entries::bare(self.response).get(b"LOGIN") {
                Some(Value::Text(login)) => Some(login),
                _ => None,
            },
            _ => None,
        }
    }

    /// The frame with another user (PLAIN only).
    fn with_user(&self, user: &[u8]) -> Option<bytes::Bytes> {
        let mut parts = self.response.splitn(3, |b| *b == 0);
        let (authority, _, password) = (parts.next()?, parts.next()?, parts.next()?);
        let response = [authority, user, password].join(&0);
        let mut payload = vec![0, 10, 0, 11];
        payload.extend_from_slice(self.properties);
        method::push_shortstr(&mut payload, self.mechanism)?;
        payload.extend_from_slice(&u32::try_from(response.len()).ok()?.to_be_bytes());
        payload.extend_from_slice(&response);
        method::push_shortstr(&mut payload, self.locale)?;
        Some(method::raw_frame(0, &payload))
    }
}

impl AmqpGate {
    /// The client says who it is.
    pub(super) fn start_ok(&mut self, payload: &[u8], out: &mut Vec<Action>) -> Verdict {
        let Some(start) = StartOk::read(payload) else { return Verdict::Pass };
        if let Some(Value::Text(name)) = Entries::of(start.properties).get(b"connection_name")
            && !name.is_empty()
        {
            let name = String::from_utf8_lossy(name).into_owned();
            out.push(Action::Event(JobEvent::ClientNamed(name)));
        }
        let Some(user) = start.user() else { return Verdict::Pass };
        let at = memchr::memrchr(b'+', user).filter(|_| self.settings.user_tag && start.mechanism == b"PLAIN");
        let bare = &user[..at.unwrap_or(user.len())];
        out.push(Action::Event(JobEvent::User(String::from_utf8_lossy(bare).into_owned())));
        let Some(at) = at else { return Verdict::Pass };
        if at + 1 < user.len() {
            let tag = String::from_utf8_lossy(&user[at + 1..]).into_owned();
            out.push(Action::Event(JobEvent::Tagged(tag)));
        }
        start.with_user(bare).map_or(Verdict::Pass, Verdict::Replace)
    }

    /// The client says in which virtual host its queues are.
    pub(super) fn opened(&self, payload: &[u8], out: &mut Vec<Action>) {
        let host = payload.get(4..).and_then(|fields| Fields(fields).shortstr()).filter(|host| *host != b"/");
        out.extend(host.map(|host| Action::Event(JobEvent::VirtualHost(String::from_utf8_lossy(host).into_owned()))));
    }
}
