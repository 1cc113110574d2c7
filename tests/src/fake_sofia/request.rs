//! Requests in datagrams and in TCP streams.

use crate::sip::header;

/// Bytes that may wait for the end of a request; more is no request.
const LONGEST: usize = 256 * 1_024;

/// A request, headers and all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    text: &'a str,
}

impl<'a> Request<'a> {
    /// Reads one from the head of a message; `None` for answers, keep-alives and noise.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (line, _) = text.split_once("\r\n")?;
        let mut words = line.split(' ');
        let method = words.next()?;
        let _uri = words.next()?;
        (words.next()? == "SIP/2.0").then_some(Self { method, text })
    }

    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        header(self.text, name)
    }

    /// The user of the To field.
    pub(super) fn user(self) -> &'a str {
        let uri = self.header("To").and_then(|to| to.split_once("sip:"));
        uri.and_then(|(_, rest)| rest.split(['@', '>']).next()).unwrap_or_default()
    }

    /// What asks for another answer than the request before: its branch, call and number.
    pub(super) fn transaction(&self) -> String {
        let field = |name| self.header(name).unwrap_or_default();
        format!("{}|{}|{}", field("Via"), field("Call-ID"), field("CSeq"))
    }

    /// An answer to it, with more header lines (each with its line end).
    pub(super) fn answer(&self, status: &str, more: &str) -> String {
        let field = |name| self.header(name).unwrap_or_default();
        format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=fake\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             User-Agent: FreeSWITCH\r\n{more}Content-Length: 0\r\n\r\n",
            field("Via"),
            field("From"),
            field("To"),
            field("Call-ID"),
            field("CSeq"),
        )
    }
}

/// Takes the next whole message from the head of a TCP stream; `Err` when the stream is of no use.
pub(super) fn next(stream: &mut Vec<u8>) -> Result<Option<String>, ()> {
    let keep_alive = stream.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    stream.drain(..keep_alive);
    let Some(head) = stream.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if stream.len() > LONGEST { Err(()) } else { Ok(None) };
    };
    let head = head + 4;
    let text = stream.get(..head).and_then(|head| std::str::from_utf8(head).ok()).ok_or(())?;
    let body: usize = header(text, "Content-Length").unwrap_or("0").parse().map_err(drop)?;
    if body > LONGEST {
        return Err(());
    }
    if stream.len() < head + body {
        return Ok(None);
    }
    let message: Vec<u8> = stream.drain(..head + body).collect();
    String::from_utf8(message).map(Some).map_err(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str =
        "OPTIONS sip:pbx.test SIP/2.0\r\nCall-ID: one\r\nContent-Length: 0\r\n\r\n";
    const MESSAGE: &str =
        "MESSAGE sip:pbx.test SIP/2.0\r\nTo: <sip:12@pbx.test>\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn a_stream_is_cut_into_its_requests_wherever_segments_end() {
        let all = format!("{OPTIONS}\r\n\r\n{MESSAGE}{OPTIONS}");
        for cut in 0..all.len() {
            let mut methods = Vec::new();
            let mut stream = Vec::new();
            for part in [&all[..cut], &all[cut..]] {
                stream.extend_from_slice(part.as_bytes());
                while let Some(message) = next(&mut stream).unwrap() {
                    methods.push(Request::read(&message).unwrap().method.to_owned());
                }
            }
            assert_eq!(methods, ["OPTIONS", "MESSAGE", "OPTIONS"], "cut at {cut}");
            assert!(stream.is_empty());
        }
    }

    #[test]
    fn what_is_no_request_is_none() {
        for noise in ["", "\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "x"] {
            assert!(Request::read(noise).is_none(), "{noise:?}");
        }
        assert_eq!(Request::read(MESSAGE).unwrap().user(), "12");
    }

    #[test]
    fn a_stream_without_end_is_given_up() {
        let mut endless = vec![b'x'; LONGEST + 1];
        assert!(next(&mut endless).is_err());
        let mut huge = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 99999999\r\n\r\n".to_vec();
        assert!(next(&mut huge).is_err());
    }
}
