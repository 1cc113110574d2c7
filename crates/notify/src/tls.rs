//! TLS as a client.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// Trusts the certificates that the system trusts. Reads some 150 files, so not where others wait.
pub fn connector() -> Result<TlsConnector, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(
            "this system has no trusted certificates: install the package ca-certificates, or set \
             SSL_CERT_FILE"
                .to_owned(),
        );
    }
    trusting(found.certs)
}

/// Trusts `roots`.
pub fn trusting(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<TlsConnector, String> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
