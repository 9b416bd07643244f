//! TLS, with rustls: turns files with certificates into what one side of a connection needs. A file that cannot be used is
//! one clear line.

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// A certificate and its key, each a PEM file. The certificate's may hold the chain behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, and the chain behind it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How callers are met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// What is shown to them.
    pub identity: KeyPair,
    /// Who must have signed what they show. Without it they need to show nothing.
    pub client_ca: Option<PathBuf>,
}

/// How a server is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Who must have signed what it shows. Without it those whom this host trusts.
    pub ca: Option<PathBuf>,
    /// What is shown to it, if it asks.
    pub identity: Option<KeyPair>,
    /// The name in its certificate, if it is not the one that it is called by.
    pub server_name: Option<String>,
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// This host trusts nobody.
    #[error("no certificate authorities are installed on this host: name one as ca")]
    NoRoots,
    /// The name cannot stand in a certificate.
    #[error("{0:?} is no name of a server")]
    Name(String),
}

/// The one provider of cryptography.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// The certificates of what listens and of the broker behind it as they were last read. What began with others keeps them.
#[derive(Debug)]
pub struct Certificates {
    tls: Option<ServerTls>,
    upstream_tls: Option<ClientTls>,
    read: RwLock<Read>,
}

#[derive(Clone, Debug)]
struct Read {
    server: Option<Arc<ServerConfig>>,
    client: Option<Arc<ClientConfig>>,
}

impl Certificates {
    /// Reads what the configuration names.
    pub fn new(tls: Option<ServerTls>, upstream_tls: Option<ClientTls>) -> Result<Certificates, TlsError> {
        let read = RwLock::new(Read::new(tls.as_ref(), upstream_tls.as_ref())?);
        Ok(Certificates { tls, upstream_tls, read })
    }

    /// Whether there are any.
    pub fn are_there(&self) -> bool {
        self.tls.is_some() || self.upstream_tls.is_some()
    }

    /// Reads the same files again. If one of them cannot be used all stays as it was.
    pub fn renew(&self) -> Result<(), TlsError> {
        let new = Read::new(self.tls.as_ref(), self.upstream_tls.as_ref())?;
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// How callers are met from now on; `None`: without TLS.
    pub fn server(&self) -> Option<Arc<ServerConfig>> {
        self.read().server
    }

    /// How the broker at `host` is called from now on, and the name that it has to prove; `None`: without TLS.
    pub fn client(&self, host: &str) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>, TlsError> {
        let Some(client) = self.read().client else { return Ok(None) };
        let name = self.upstream_tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        Ok(Some((client, server_name(name.unwrap_or(host))?)))
    }

    fn read(&self) -> Read {
        self.read.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Read {
    fn new(tls: Option<&ServerTls>, upstream_tls: Option<&ClientTls>) -> Result<Read, TlsError> {
        Ok(Read { server: tls.map(server).transpose()?, client: upstream_tls.map(client).transpose()? })
    }
}

/// For libraries that ask the process for a provider, even where no TLS is spoken.
pub fn provide() {
    // there is only this one
    let _ = CryptoProvider::install_default((**PROVIDER).clone());
}

/// For meeting callers.
pub fn server(tls: &ServerTls) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, key) = read(&tls.identity)?;
    let versions = ServerConfig::builder_with_provider(PROVIDER.clone()).with_safe_default_protocol_versions();
    let versions = versions.map_err(unusable(&tls.identity.cert))?;
    let callers = match &tls.client_ca {
        None => versions.with_no_client_auth(),
        Some(ca) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca)?.into(), PROVIDER.clone()).build();
            versions.with_client_cert_verifier(verifier.map_err(unusable(ca))?)
        }
    };
    Ok(Arc::new(callers.with_single_cert(chain, key).map_err(unusable(&tls.identity.cert))?))
}

/// For calling a server.
pub fn client(tls: &ClientTls) -> Result<Arc<ClientConfig>, TlsError> {
    if let Some(name) = &tls.server_name {
        server_name(name)?;
    }
    let (roots, of) = match &tls.ca {
        Some(ca) => (roots(ca)?, ca.as_path()),
        None => (roots_of_host()?, Path::new("the certificate authorities of this host")),
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), PROVIDER.clone()).build();
    let versions = ClientConfig::builder_with_provider(PROVIDER.clone()).with_safe_default_protocol_versions();
    let calls = versions.map_err(unusable(of))?.with_webpki_verifier(verifier.map_err(unusable(of))?);
    Ok(Arc::new(match &tls.identity {
        None => calls.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = read(identity)?;
            calls.with_client_auth_cert(chain, key).map_err(unusable(&identity.cert))?
        }
    }))
}

/// A name or an address as it stands in certificates.
pub fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))
}

fn read(identity: &KeyPair) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = certificates(&identity.cert)?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(unreadable(&identity.key, "private key"))?;
    Ok((chain, key))
}

fn roots(ca: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(unusable(ca))?;
    }
    Ok(roots)
}

/// What cannot be read is left out: a host's collection has odd ones among hundreds.
fn roots_of_host() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
}

/// At least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found.map_err(unreadable(path, "certificate"))? {
        none if none.is_empty() => Err(unreadable(path, "certificate")(pem::Error::NoItemsFound)),
        some => Ok(some),
    }
}

fn unreadable(path: &Path, what: &'static str) -> impl Fn(pem::Error) -> TlsError {
    move |error| {
        let why = match error {
            pem::Error::Io(error) => error.to_string(),
            pem::Error::NoItemsFound => format!("there is no {what} in it (PEM)"),
            error => format!("its {what} cannot be read (PEM): {error}"),
        };
        TlsError::File { path: path.to_owned(), why }
    }
}

fn unusable<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> TlsError {
    move |error| TlsError::File { path: path.to_owned(), why: error.to_string() }
}
