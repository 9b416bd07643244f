//! Who may call. With tokens configured a call needs one whose scope covers it; without any, callers on the gate's own
//! host are trusted and others are not. Whoever may open the Unix socket is on that host.
//!
//! A browser on the gate's host is trusted by its address, and the pages in it are not: a call without a token that
//! came over loopback must name a loopback host (a page that rebinds its DNS name cannot), and one that changes
//! something must not come from a page at all (`Origin`). A valid token is proof enough against both.

use crate::api::error::{Kind, Problem};
pub use crate::config::{Scope, Token};
pub use crate::hub::Caller;
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};

/// The rules in force.
#[derive(Clone, Default)]
pub struct Rules {
    /// The tokens; none: only where the caller is counts.
    pub tokens: Vec<Token>,
}

/// Who a call was allowed as, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// By a token of this name.
    Token(String),
    /// By its address.
    Address(IpAddr),
    /// As a user of this host who may open the Unix socket.
    User(u32),
}

impl std::fmt::Display for Allowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Allowed::Token(name) => write!(f, "token {name}"),
            Allowed::Address(ip) => write!(f, "{}", ip.to_canonical()),
            Allowed::User(uid) => write!(f, "user {uid}"),
        }
    }
}

impl Rules {
    /// Whether a call may go on. `changes`: it is not a mere look (the method is neither GET nor HEAD).
    pub fn check(&self, caller: Caller, headers: &HeaderMap, needed: Scope, changes: bool) -> Result<Allowed, Problem> {
        if self.tokens.is_empty() {
            return match caller {
                // who may open it is the file system's affair, and browsers cannot
                Caller::Unix { uid, .. } => Ok(Allowed::User(uid)),
                Caller::Tcp { peer, local } => {
                    check_address(peer, local)?;
                    check_page(local, headers, changes)?;
                    Ok(Allowed::Address(peer.ip()))
                }
            };
        }
        let token = self.presented(headers)?;
        if token.scope < needed {
            return Err(Problem::new(
                Kind::Scope,
                format!(
                    "the token {} has the scope {}, and this needs {}",
                    token.name,
                    token.scope.as_str(),
                    needed.as_str()
                ),
            )
            .hint("use a token with that scope (`DRAINGATE_TOKEN` or --token)"));
        }
        Ok(Allowed::Token(token.name.clone()))
    }

    fn presented(&self, headers: &HeaderMap) -> Result<&Token, Problem> {
        let hint = "send `Authorization: Bearer TOKEN`; the command line takes it from DRAINGATE_TOKEN or --token";
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Err(Problem::new(Kind::NoToken, "this gate wants a token, and there was none").hint(hint));
        };
        let bearer = value.to_str().ok().and_then(|text| text.split_once(' '));
        let Some((_, text)) = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            return Err(Problem::new(Kind::NoToken, "the Authorization header is no bearer token").hint(hint));
        };
        let hash: [u8; 32] = Sha256::digest(text.trim()).into();
        let known = self.tokens.iter().find(|token| same(&token.sha256, &hash));
        known.ok_or_else(|| Problem::new(Kind::NoToken, "this gate does not know the token").hint(hint))
    }
}

fn check_address(peer: SocketAddr, local: SocketAddr) -> Result<(), Problem> {
    let own_host = peer.ip().to_canonical().is_loopback() || peer.ip() == local.ip();
    if own_host {
        return Ok(());
    }
    let detail = format!("no tokens are configured, and {} is another host", peer.ip().to_canonical());
    Err(Problem::new(Kind::NoToken, detail).hint("configure [admin] tokens in the gate, or call it from its own host"))
}

/// See the module for why.
fn check_page(local: SocketAddr, headers: &HeaderMap, changes: bool) -> Result<(), Problem> {
    if changes && headers.contains_key(header::ORIGIN) {
        let detail = "the call comes from a web page (it has an Origin), and pages may not change anything";
        return Err(Problem::new(Kind::ForeignPage, detail).hint("call without a browser, or configure [admin] tokens"));
    }
    let over_loopback = local.ip().to_canonical().is_loopback();
    let host = headers.get(header::HOST);
    if over_loopback && host.is_some_and(|host| !own_name(host.to_str().unwrap_or_default())) {
        let detail = "the Host is no name of this machine, as when a web page points its own name here";
        return Err(Problem::new(Kind::ForeignPage, detail)
            .hint("use localhost or an address in the URL, or configure [admin] tokens"));
    }
    Ok(())
}

/// Whether a `Host` (with or without port) is `localhost` or an address: what no page can point elsewhere.
fn own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    let lower = bare.trim_end_matches('.').to_ascii_lowercase();
    lower == "localhost" || lower.ends_with(".localhost") || lower.parse::<IpAddr>().is_ok()
}

/// Equality that takes the same time wherever the first difference is.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}
