//! One question to one server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};

use sipward_config::WhoisServer;

/// Bytes of an answer that are read; what comes behind is not.
const MAX_ANSWER: u64 = 64 * 1024;

/// Which servers may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All: the operator named it.
    Anywhere,
    /// Public addresses only: a stranger's answer named it, and must not choose what this host connects to
    /// in its own network.
    Public,
}

/// The answer as it came, and where it came from.
pub(super) async fn ask(
    server: &WhoisServer,
    address: IpAddr,
    reach: Reach,
) -> Result<(String, IpAddr), String> {
    let WhoisServer { host, port } = server;
    let found = lookup_host((host.as_str(), *port)).await;
    let found = found.map_err(|error| format!("cannot look it up: {error}"))?;
    let mut last = "its name has no address that may be queried".to_owned();
    for place in found.filter(|place| reach == Reach::Anywhere || is_public(place.ip())) {
        match TcpStream::connect(place).await {
            Ok(stream) => {
                let text = converse(stream, &question(host, address)).await;
                return text.map(|text| (text, place.ip())).map_err(|error| error.to_string());
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

async fn converse(mut stream: TcpStream, question: &str) -> std::io::Result<String> {
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    let read = stream.take(MAX_ANSWER).read_to_end(&mut answer).await;
    // Some servers reset the connection behind a whole answer.
    if answer.is_empty() {
        read?;
    }
    // RFC 3912 section 4: no character set is named. Registries use UTF-8 or Latin 1.
    Ok(match String::from_utf8(answer) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    })
}

fn question(host: &str, address: IpAddr) -> String {
    // ARIN lists every network that fits unless it is asked for networks alone, in full.
    let flags = if host.eq_ignore_ascii_case("whois.arin.net") { "n + " } else { "" };
    format!("{flags}{address}\r\n")
}

/// Whether an address is on the internet (the registries of RFC 6890, as far as it matters here).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let reserved = a == 0 || a >= 240;
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || shared
        || reserved)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let documentation = a == 0x2001 && b == 0x0db8;
    // 2000::/3 is all that is given out.
    a & 0xe000 == 0x2000 && !documentation
}
