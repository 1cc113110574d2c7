//! The page and the API on TCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Check;
use sipward_config::HttpSettings;
use sipward_daemon::certificates::Certificates;

const NAME: &str = "page";

/// Longest wait for a connection, which goes to this host.
const CONNECT: Duration = Duration::from_secs(2);

/// The certificate, and whether the daemon listens on each address.
pub(super) async fn check(settings: &HttpSettings, is_running: bool) -> Check {
    if settings.listen.is_empty() {
        return Check::ok(NAME, "off (`http.listen`)");
    }
    if let Some(Err(error)) = settings.tls.as_ref().map(Certificates::read) {
        let advice =
            "put a certificate and its key there, readable for the daemon's user, and reload";
        return Check::fail(NAME, error.to_string(), advice);
    }
    let certificate = if settings.tls.is_some() { "the certificate is valid; " } else { "" };
    if !is_running {
        let found = format!("{certificate}not checked, because the daemon is not running");
        return Check::ok(NAME, found);
    }
    let tried = settings.listen.iter().map(|address| answers(*address));
    let tried = join_all(tried).await;
    let silent: Vec<String> = settings
        .listen
        .iter()
        .zip(tried)
        .filter(|(_, answers)| !answers)
        .map(|(address, _)| address.to_string())
        .collect();
    if silent.is_empty() {
        return Check::ok(NAME, format!("{certificate}the daemon listens on every address"));
    }
    let found = format!("the daemon does not listen on {}", silent.join(", "));
    let advice = "see `http_failed` in the daemon's log; a change of `http.listen` needs a restart";
    Check::fail(NAME, found, advice)
}

async fn answers(address: SocketAddr) -> bool {
    let host = match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    // Port 0 is chosen by the system; only the log has the number.
    address.port() == 0
        || matches!(timeout(CONNECT, TcpStream::connect((host, address.port()))).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use sipward_config::TlsFiles;

    #[tokio::test]
    async fn an_address_that_nobody_listens_on_and_a_missing_certificate_are_told() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let settings = HttpSettings { listen: vec![address], ..HttpSettings::default() };
        assert_eq!(check(&settings, true).await.state, State::Ok);
        drop(listener);
        let silent = check(&settings, true).await;
        assert_eq!(silent.state, State::Fail);
        assert_eq!(silent.found, format!("the daemon does not listen on {address}"));
        assert_eq!(check(&settings, false).await.state, State::Ok);

        let files = TlsFiles { certificate: "/nowhere.pem".into(), key: "/nowhere.key".into() };
        let missing = check(&HttpSettings { tls: Some(files), ..settings }, false).await;
        assert_eq!(missing.state, State::Fail);
        assert!(missing.found.starts_with("cannot read /nowhere.pem"), "{}", missing.found);
    }
}
