//! Certificates for tests: an authority, what it has signed for `localhost`, and what it has signed for a client.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use std::path::{Path, PathBuf};

/// PEM files in a directory, made anew for each test.
pub(crate) struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// Makes them: `NAME.crt` and `NAME.key` of `ca`, `server` and `client`.
    pub(crate) fn make(dir: &Path) -> Certificates {
        let certificates = Certificates::of(dir);
        certificates.renew();
        certificates
    }

    /// Those that are there.
    pub(crate) fn of(dir: &Path) -> Certificates {
        Certificates { dir: dir.to_owned() }
    }

    /// Others under the same names.
    pub(crate) fn renew(&self) {
        let mut authority = CertificateParams::new([]).expect("parameters");
        // what bears its issuer's name is taken for its own issuer
        authority.distinguished_name.push(DnType::CommonName, "authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        self.write("ca", &authority.self_signed(&key).expect("signed").pem(), &key);
        let authority = Issuer::new(authority, key);
        let purposes =
            [("server", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)];
        for (name, purpose) in purposes {
            let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
            let mut params = CertificateParams::new(names).expect("parameters");
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![purpose];
            let key = KeyPair::generate().expect("a key");
            self.write(name, &params.signed_by(&key, &authority).expect("signed").pem(), &key);
        }
    }

    fn write(&self, name: &str, certificate: &str, key: &KeyPair) {
        std::fs::write(self.path(&format!("{name}.crt")), certificate).expect("written");
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).expect("written");
    }

    /// Where one of them is.
    pub(crate) fn path(&self, file: &str) -> String {
        self.dir.join(file).display().to_string()
    }
}
