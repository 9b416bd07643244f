//! What survives a restart of the gate: the drains (saved durably before an operator is answered) and the journal of
//! workers and of the jobs in their hands (appended, not synced). Both are plain text of the fleet's own, versioned.

pub(super) mod drains;
pub(super) mod journal;
mod line;
pub(super) mod read;
pub(super) mod text;

pub(super) use journal::Fact;
pub(super) use line::Lines;

use super::boundary::Peer;
use super::worker::{Key, Origin};
use text::Fields;

/// The version of both texts.
const VERSION: &str = "1";

/// A key as text; also what worker ids are made of, so it must never change.
pub(super) fn key_text(key: &Key) -> String {
    match key {
        Key::Listener(name) => format!("listener:{name}"),
        Key::Tag(name) => format!("tag:{name}"),
        Key::Process { pid, started } => format!("process:{pid}:{started}"),
        Key::Address(ip) => format!("address:{ip}"),
        Key::Pending(conn) => format!("pending:{}", conn.0),
    }
}

/// The reverse of [`key_text`].
fn parse_key(text: &str) -> Result<Key, String> {
    let wrong = || format!("expected a worker's key, found {text:?}");
    let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
    match kind {
        "listener" => Ok(Key::Listener(rest.to_owned())),
        "tag" => Ok(Key::Tag(rest.to_owned())),
        "address" => rest.parse().map(Key::Address).map_err(|_| wrong()),
        "process" => {
            let (pid, started) = rest.split_once(':').ok_or_else(wrong)?;
            match (pid.parse(), started.parse()) {
                (Ok(pid), Ok(started)) => Ok(Key::Process { pid, started }),
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

fn read_origin(fields: &mut Fields<'_>) -> Result<Origin, String> {
    let ip = fields.parse("an address")?;
    Ok(Origin { ip, listener: fields.text("a listener")?.into(), protocol: fields.protocol()? })
}

impl From<&Peer> for Origin {
    fn from(peer: &Peer) -> Origin {
        Origin { ip: peer.ip, listener: peer.listener.clone(), protocol: peer.protocol }
    }
}
