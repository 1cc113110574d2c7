//! A mail server on loopback that keeps what it gets, and a whois server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::tests::PATIENCE;

/// A mail as it came over the wire, its text decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mail {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    /// By name in lower case, unfolded.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) text: String,
}

pub(super) struct Sink {
    port: u16,
    mails: mpsc::UnboundedReceiver<Mail>,
    notes: Arc<Mutex<Notes>>,
}

/// What the sink saw beside mails.
#[derive(Default)]
struct Notes {
    /// Mails still to be refused for now.
    refuse: usize,
    refused_ids: Vec<String>,
    logins: Vec<String>,
}

impl Sink {
    pub(super) async fn start() -> Self {
        Self::refusing(0).await
    }

    /// Answers the first `refuse` mails with a temporary error, after the whole mail.
    pub(super) async fn refusing(refuse: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (out, mails) = mpsc::unbounded_channel();
        let notes = Arc::new(Mutex::new(Notes { refuse, ..Notes::default() }));
        let kept = Arc::clone(&notes);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = Session::new(stream, Arc::clone(&kept), out.clone());
                tokio::spawn(session.run());
            }
        });
        Self { port, mails, notes }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) async fn next(&mut self) -> Mail {
        tokio::time::timeout(PATIENCE, self.mails.recv()).await.expect("no mail came").unwrap()
    }

    /// Mails that came and were not asked for.
    pub(super) fn rest(&mut self) -> Vec<Mail> {
        std::iter::from_fn(|| self.mails.try_recv().ok()).collect()
    }

    pub(super) fn refused_ids(&self) -> Vec<String> {
        self.notes.lock().unwrap().refused_ids.clone()
    }

    pub(super) fn logins(&self) -> Vec<String> {
        self.notes.lock().unwrap().logins.clone()
    }
}

struct Session {
    lines: BufReader<OwnedReadHalf>,
    out: OwnedWriteHalf,
    notes: Arc<Mutex<Notes>>,
    mails: mpsc::UnboundedSender<Mail>,
}

impl Session {
    fn new(
        stream: TcpStream,
        notes: Arc<Mutex<Notes>>,
        mails: mpsc::UnboundedSender<Mail>,
    ) -> Self {
        let (read, out) = stream.into_split();
        Self { lines: BufReader::new(read), out, notes, mails }
    }

    async fn run(mut self) {
        self.say("220 sink").await;
        let (mut from, mut to) = (String::new(), Vec::new());
        while let Some(line) = self.line().await {
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match word.as_str() {
                "EHLO" => self.say("250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN").await,
                "AUTH" => {
                    let plain = decode_base64(line.rsplit(' ').next().unwrap());
                    self.notes.lock().unwrap().logins.push(plain);
                    self.say("235 welcome").await;
                }
                "MAIL" => {
                    from = path(&line);
                    self.say("250 ok").await;
                }
                "RCPT" if path(&line).starts_with("nobody@") => self.say("550 nobody here").await,
                "RCPT" => {
                    to.push(path(&line));
                    self.say("250 ok").await;
                }
                "DATA" => {
                    self.say("354 go on").await;
                    let mail = self.mail(std::mem::take(&mut from), std::mem::take(&mut to)).await;
                    let refused = {
                        let mut notes = self.notes.lock().unwrap();
                        let refused = notes.refuse > 0;
                        if refused {
                            notes.refuse -= 1;
                            notes.refused_ids.push(mail.headers["message-id"].clone());
                        }
                        refused
                    };
                    if refused {
                        self.say("451 later").await;
                    } else {
                        self.mails.send(mail).unwrap();
                        self.say("250 kept").await;
                    }
                }
                "QUIT" => return self.say("221 bye").await,
                "RSET" | "NOOP" => self.say("250 ok").await,
                _ => self.say("502 what?").await,
            }
        }
    }

    async fn mail(&mut self, from: String, to: Vec<String>) -> Mail {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            if line == "." {
                break;
            }
            assert!(line.len() <= 998, "RFC 5322 section 2.1.1: {} bytes in a line", line.len());
            assert!(line.is_ascii(), "{line:?}");
            lines.push(line.strip_prefix('.').map_or(line.clone(), str::to_owned));
        }
        let end = lines.iter().position(String::is_empty).expect("an empty line");
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        let mut last = String::new();
        for line in &lines[..end] {
            if line.starts_with([' ', '\t']) {
                headers.get_mut(&last).unwrap().push_str(line);
                continue;
            }
            let (name, value) = line.split_once(": ").expect("a header");
            last = name.to_ascii_lowercase();
            let before = headers.insert(last.clone(), value.to_owned());
            assert_eq!(before, None, "{name} stands twice");
        }
        assert_eq!(headers["content-transfer-encoding"], "quoted-printable");
        let text = decode_quoted_printable(&lines[end + 1..].join("\r\n"));
        Mail { from, to, headers, text: text.replace("\r\n", "\n") }
    }

    /// The next line, which must end as SMTP's do.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line).await.unwrap_or_default() == 0 {
            return None;
        }
        Some(
            line.strip_suffix("\r\n")
                .unwrap_or_else(|| panic!("bare line feed: {line:?}"))
                .to_owned(),
        )
    }

    async fn say(&mut self, line: &str) {
        // Anyone who has heard enough is gone.
        let _ = self.out.write_all(format!("{line}\r\n").as_bytes()).await;
    }
}

fn path(line: &str) -> String {
    let (_, rest) = line.split_once('<').expect("a path");
    rest.split('>').next().unwrap().to_owned()
}

fn decode_quoted_printable(text: &str) -> String {
    let mut bytes = Vec::new();
    let text = text.replace("=\r\n", "");
    let mut rest = text.as_bytes().iter();
    while let Some(byte) = rest.next() {
        if *byte == b'=' {
            let digits = [*rest.next().unwrap(), *rest.next().unwrap()];
            let digits = std::str::from_utf8(&digits).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn decode_base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for digit in text.bytes().filter(|byte| *byte != b'=') {
        bits = bits << 6 | u32::try_from(DIGITS.iter().position(|d| *d == digit).unwrap()).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Gives every question the same answer.
pub(super) async fn registry(listener: TcpListener, answer: &'static str) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut question = [0; 64];
        let _ = stream.read(&mut question).await;
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}
