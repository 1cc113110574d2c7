//! The OPTIONS request and its answer (RFC 3261 sections 11 and 8.1.3).

use std::io;
use std::net::SocketAddr;

use memchr::memchr;

/// Bytes of an answer's header that are looked at.
const LONGEST_HEAD: usize = 2_048;

/// The common part of all requests to one profile. It is secret to hosts that cannot read the requests.
#[derive(Clone, Debug)]
pub(super) struct Call {
    from: SocketAddr,
    to: SocketAddr,
    id: String,
    tag: String,
}

impl Call {
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn new(from: SocketAddr, to: SocketAddr) -> io::Result<Self> {
        let random = || -> io::Result<String> {
            let mut bytes = [0; size_of::<u128>()];
            getrandom::fill(&mut bytes).map_err(io::Error::other)?;
            Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
        };
        Ok(Self { from, to, id: random()?, tag: random()? })
    }

    /// Request number `number`. Each is a transaction of its own, by its branch.
    pub(super) fn options(&self, number: u32) -> String {
        let Self { from, to, id, tag } = self;
        format!(
            "OPTIONS sip:{to} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {from};branch=z9hG4bK{tag}{number};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:sipward@{from}>;tag={tag}\r\n\
             To: <sip:{to}>\r\n\
             Call-ID: {id}\r\n\
             CSeq: {number} OPTIONS\r\n\
             Contact: <sip:sipward@{from}>\r\n\
             Accept: application/sdp\r\n\
             User-Agent: sipward/{version}\r\n\
             Content-Length: 0\r\n\r\n",
            version = env!("CARGO_PKG_VERSION"),
        )
    }

    /// The number of the request that `message` answers, whatever the answer; `None` for anything else.
    pub(super) fn answers(&self, message: &[u8]) -> Option<u32> {
        let head = message.get(..LONGEST_HEAD).unwrap_or(message);
        let mut lines = Lines(head);
        let status = lines.next()?.strip_prefix(b"SIP/2.0 ")?;
        // Three digits, and a phrase that may be empty (RFC 3261 section 25.1).
        let [hundreds @ b'1'..=b'6', tens, ones, b' ', ..] = status else { return None };
        let _ = hundreds;
        if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
            return None;
        }
        let (mut is_ours, mut number) = (false, None);
        for line in lines {
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = field(line) else { continue };
            if name.eq_ignore_ascii_case(b"Call-ID") || name.eq_ignore_ascii_case(b"i") {
                is_ours = value == self.id.as_bytes();
            } else if name.eq_ignore_ascii_case(b"CSeq") {
                number = cseq(value);
            }
        }
        number.filter(|_| is_ours)
    }
}

/// Lines, with CRLF or LF at their ends.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (line, rest) = self.0.split_at_checked(memchr(b'\n', self.0)?)?;
        self.0 = rest.get(1..)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
}

/// The number of `NUMBER OPTIONS`.
fn cseq(value: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(value).ok()?;
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    (words.next()? == "OPTIONS").then_some(number)
}
