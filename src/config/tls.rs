//! `tls` of what listens, `upstream_tls` of a broker and `tls` of the state. The files are read here already, so that
//! `check-config` and a reload say what is wrong with them.

use super::problem::Fault;
use super::section::Section;
use crate::tls::{self, ClientTls, KeyPair, ServerTls, TlsError};
use std::path::PathBuf;

/// `tls = { cert, key, client_ca? }`; `None` if it is not written.
pub(super) fn server(parent: &mut Section<'_>) -> Option<ServerTls> {
    let (place, mut section) = parent.table("tls")?;
    let (cert, key) = (section.required("cert", file), section.required("key", file));
    let client_ca = section.text("client_ca", || None, |text| file(text).map(Some));
    section.finish();
    let tls = ServerTls { identity: KeyPair { cert: cert?, key: key? }, client_ca };
    check(parent, place, "tls", tls::server(&tls).map(|_| tls))
}

/// `upstream_tls = { ca?, cert?, key?, server_name? }`, or what else the key is; `None` if neither it is written nor the URL
/// beside it asks for TLS.
pub(super) fn client(parent: &mut Section<'_>, key: &'static str, wanted: bool) -> Option<ClientTls> {
    if !wanted && !parent.has(key) {
        return None;
    }
    let place = parent.place_of(key);
    let mut section = parent.section(key);
    let ca = section.text("ca", || None, |text| file(text).map(Some));
    let both = section.has("cert") || section.has("key");
    let identity = both.then(|| (section.required("cert", file), section.required("key", file)));
    let server_name = section.text("server_name", || None, |text| name(text).map(Some));
    section.finish();
    let identity = match identity {
        Some((cert, key)) => Some(KeyPair { cert: cert?, key: key? }),
        None => None,
    };
    let tls = ClientTls { ca, identity, server_name };
    check(parent, place, key, tls::client(&tls).map(|_| tls))
}

fn check<T>(parent: &Section<'_>, place: String, key: &str, tls: Result<T, TlsError>) -> Option<T> {
    tls.map_err(|error| parent.problem(place, key, Fault::Invalid(error.to_string()))).ok()
}

fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("the path of a PEM file".into()) } else { Ok(text.into()) }
}

fn name(text: &str) -> Result<String, String> {
    tls::server_name(text).map(|_| text.to_owned()).map_err(|_| "a name as in certificates".into())
}
