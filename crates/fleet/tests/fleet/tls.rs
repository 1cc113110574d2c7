//! Certificates for tests, and the configurations of `deploy/nats` on loopback with them.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use sipward_fleet::Settings;
use tempfile::TempDir;

use crate::node::settings;

/// A CA, and certificates in a directory.
pub(crate) struct Tls {
    dir: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Tls {
    /// With a certificate of the server.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "fleet CA");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
        let tls = Self { dir, ca };
        tls.issue("server", &["localhost", "127.0.0.1"], false);
        tls
    }

    /// A certificate `NAME.pem` and its key `NAME.key`.
    pub(crate) fn issue(&self, file: &str, names: &[&str], expired: bool) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, file);
        if expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        fs::write(self.path(&format!("{file}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Settings of a peer with a certificate for it. Node NODE of SITE is `NODE.SITE.fleet`.
    pub(crate) fn settings(&self, port: u16, peer: &str) -> Settings {
        let (site, node) = peer.split_once('.').unwrap();
        self.issue(peer, &[&format!("{node}.{site}.fleet")], false);
        Settings {
            ca: Some(self.path("ca.pem")),
            certificate: Some(self.path(&format!("{peer}.pem"))),
            key: Some(self.path(&format!("{peer}.key"))),
            ..settings(&[format!("tls://localhost:{port}")], peer)
        }
    }

    /// A configuration of `deploy/nats` as it is, but for places that only exist in earnest.
    pub(crate) fn configuration(&self, name: &str) -> String {
        let included = |line: &str| match line.strip_prefix("include \"") {
            Some(file) => shipped(file.trim_end_matches('"')),
            None => line.to_owned(),
        };
        let text: Vec<String> = shipped(name).lines().map(included).collect();
        text.join("\n")
            .replace("/etc/nats/tls", self.dir.path().to_str().unwrap())
            .replace("/var/lib/nats", "DIR")
            .replace("0.0.0.0:4222", "127.0.0.1:PORT")
    }
}

fn shipped(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nats");
    fs::read_to_string(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
