//! The certificate and the key by which HTTP is served over TLS.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use sipward_config::TlsFiles;

/// Largest file that is read, in bytes: a certificate with all its issuers is less than 20 kB.
const MAX_FILE: u64 = 1024 * 1024;

/// The certificate in use.
pub struct Certificates {
    acceptor: RwLock<TlsAcceptor>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificate {
    /// A file cannot be read.
    #[error("cannot read {}: {error}; make it readable for the daemon's user", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is not PEM, or has the wrong contents.
    #[error("{}: {problem}", .file.display())]
    Useless {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// They do not belong together.
    #[error("{} and {} cannot be used: {error}", .files.certificate.display(), .files.key.display())]
    InvalidValue {
        /// The files.
        files: TlsFiles,
        /// What the TLS library says.
        error: rustls::Error,
    },
}

impl Certificates {
    /// Reads the files.
    pub fn read(files: &TlsFiles) -> Result<Self, BadCertificate> {
        Ok(Self { acceptor: RwLock::new(acceptor(files)?) })
    }

    /// Reads the files again, or others; open connections are not affected. If the files are invalid, the previous
    /// certificate remains in use.
    pub fn read_again(&self, files: &TlsFiles) -> Result<(), BadCertificate> {
        let new = acceptor(files)?;
        *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// What speaks TLS with the next client.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, BadCertificate> {
    let useless = |file: &Path, problem: &dyn fmt::Display| BadCertificate::Useless {
        file: file.to_owned(),
        problem: problem.to_string(),
    };
    let pem = contents(&files.certificate)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| useless(&files.certificate, &error))?;
    if chain.is_empty() {
        return Err(useless(&files.certificate, &"the file contains no certificate (PEM)"));
    }
    let key = PrivateKeyDer::from_pem_slice(&contents(&files.key)?).map_err(|error| {
        useless(&files.key, &format!("the file contains no private key (PEM): {error}"))
    })?;
    let unfit = |error| BadCertificate::InvalidValue { files: files.clone(), error };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn contents(path: &Path) -> Result<Vec<u8>, BadCertificate> {
    let unreadable = |error| BadCertificate::Unreadable { file: path.to_owned(), error };
    let mut contents = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE).read_to_end(&mut contents).map_err(unreadable)?;
    Ok(contents)
}
