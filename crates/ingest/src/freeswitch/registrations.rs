//! `show registrations as json`, row by row: the answer of a large FreeSWITCH has tens of megabytes, of which one
//! row is held at a time.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

use sipward_model::text::Plain;

/// The question.
pub const QUESTION: &str = "show registrations as json";

/// Longest row in bytes. A Call-ID may have 90,000 characters, of which an escape takes six bytes each.
const MAX_ROW: usize = 1024 * 1024;

/// Longest beginning, up to the first row.
const MAX_PRELUDE: usize = 4_096;

/// Odd rows that are named.
const MAX_NAMED: usize = 3;

/// What each row begins with (`mod_commands.c`, `show registrations`). Inside a row the quotes would be escaped.
const ROW_START: &[u8] = b"{\"reg_user\"";

/// One registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'r> {
    /// `reg_user`.
    pub user: Cow<'r, str>,
    /// `realm`: its domain.
    pub domain: Cow<'r, str>,
    /// `token`: the `call-id` that is also in the events (`sofia_reg.c`, call of `switch_core_add_registration`).
    pub call_id: Cow<'r, str>,
    /// `network_ip`.
    pub source: IpAddr,
    /// `network_port`, if it is one.
    pub port: Option<u16>,
    /// When it runs out, in seconds of the epoch by FreeSWITCH's clock; `None` when it does not.
    pub expires: Option<u64>,
}

/// How the answer was, when all of it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that were read.
    pub rows: u64,
    /// Rows that could not be read.
    pub odd: Odd,
    /// Why rows may be missing: the answer was
    /// truncated, or holds another number of rows than it says.
    pub incomplete: Option<String>,
}

/// Rows that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Odd {
    /// How many.
    pub count: u64,
    /// Which, the first three: the row's number, its user if known, and the error.
    pub named: Vec<String>,
}

/// Takes the answer in pieces of any size.
#[derive(Debug)]
pub struct Rows {
    state: State,
    /// The beginning of the answer, or the present row.
    held: Vec<u8>,
    /// The present row is longer than [`MAX_ROW`].
    too_long: bool,
    /// Inside a string, and behind a backslash in it.
    in_string: bool,
    escaped: bool,
    depth: u32,
    announced: Option<u64>,
    seen: u64,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the rows.
    Prelude,
    /// Between two rows.
    Between,
    /// In a row.
    Row,
    /// Behind the rows.
    End,
}

#[derive(Deserialize)]
struct Written<'r> {
    #[serde(borrow)]
    reg_user: Cow<'r, str>,
    #[serde(borrow)]
    realm: Cow<'r, str>,
    #[serde(borrow, default)]
    token: Cow<'r, str>,
    #[serde(default)]
    expires: Value,
    #[serde(borrow)]
    network_ip: Cow<'r, str>,
    #[serde(default)]
    network_port: Value,
}

impl Rows {
    /// At the beginning of an answer.
    pub fn new() -> Self {
        Self {
            state: State::Prelude,
            held: Vec::new(),
            too_long: false,
            in_string: false,
            escaped: false,
            depth: 0,
            announced: None,
            seen: 0,
            outcome: Outcome::default(),
        }
    }

    /// Takes a piece; `take` sees each row that it completes.
    pub fn push(&mut self, piece: &[u8], mut take: impl FnMut(Row<'_>)) {
        for &byte in piece {
            match self.state {
                State::Prelude => self.prelude(byte),
                State::Between => match byte {
                    b'{' => self.begin(b"{"),
                    b']' => {
                        self.state = State::End;
                        self.held.clear();
                    }
                    _ => {}
                },
                State::Row => self.row(byte, &mut take),
                State::End => {
                    if self.held.len() < MAX_PRELUDE {
                        self.held.push(byte);
                    }
                }
            }
        }
    }

    /// The end of the answer. Without registrations FreeSWITCH leaves `rows` out, and older ones say `0 total.`
    ///
    /// # Errors
    /// When this was no list of registrations.
    pub fn finish(mut self) -> Result<Outcome, String> {
        match self.state {
            State::Prelude => {
                let text = String::from_utf8_lossy(&self.held).into_owned();
                let nobody = text.starts_with("{\"row_count\":0}") || text.starts_with("0total.");
                return if nobody {
                    Ok(self.outcome)
                } else {
                    Err(format!("no list of registrations: {}", super::beginning(&text)))
                };
            }
            State::Between | State::Row => {
                if self.state == State::Row {
                    self.seen += 1;
                    self.odd("it has no end");
                }
                self.outcome.incomplete = Some("the answer was truncated".to_owned());
            }
            State::End => {
                let counted = self.announced.or_else(|| row_count(&self.held));
                if let Some(announced) = counted.filter(|count| *count != self.seen) {
                    let seen = self.seen;
                    self.outcome.incomplete =
                        Some(format!("it announces {announced} rows and contains {seen}"));
                }
            }
        }
        Ok(self.outcome)
    }

    fn prelude(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() || self.held.len() >= MAX_PRELUDE {
            return;
        }
        self.held.push(byte);
        if byte == b'[' && self.held.ends_with(b"\"rows\":[") && self.held.starts_with(b"{") {
            self.announced = row_count(&self.held);
            self.held.clear();
            self.state = State::Between;
        }
    }

    fn begin(&mut self, start: &[u8]) {
        self.held.clear();
        self.held.extend_from_slice(start);
        self.state = State::Row;
        (self.too_long, self.in_string, self.escaped, self.depth) = (false, false, false, 1);
    }

    fn row(&mut self, byte: u8, take: &mut impl FnMut(Row<'_>)) {
        if self.held.len() >= MAX_ROW {
            // The end of it is kept, in which the next row shows.
            let from = self.held.len() - ROW_START.len();
            self.held.drain(..from);
            self.too_long = true;
        }
        self.held.push(byte);
        if byte == b'"' && self.held.len() > ROW_START.len() && self.held.ends_with(ROW_START) {
            self.seen += 1;
            self.odd("the next row begins inside it");
            self.begin(ROW_START);
            return;
        }
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' => self.depth += 1,
            b'}' => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.complete(take);
                }
            }
            _ => {}
        }
    }

    fn complete(&mut self, take: &mut impl FnMut(Row<'_>)) {
        self.seen += 1;
        self.state = State::Between;
        if self.too_long {
            self.odd("it is longer than a megabyte");
            return;
        }
        let held = std::mem::take(&mut self.held);
        // As the events are read: what is no UTF-8 is replaced.
        match Row::read(&String::from_utf8_lossy(&held)) {
            Ok(row) => {
                self.outcome.rows += 1;
                take(row);
            }
            Err(problem) => self.odd(&problem),
        }
        self.held = held;
        self.held.clear();
        self.held.shrink_to(64 * 1024);
    }

    fn odd(&mut self, problem: &str) {
        self.outcome.odd.count += 1;
        if self.outcome.odd.named.len() < MAX_NAMED {
            self.outcome.odd.named.push(format!("row {}: {problem}", self.seen));
        }
    }
}

impl<'r> Row<'r> {
    fn read(text: &'r str) -> Result<Self, String> {
        let row: Written<'r> = serde_json::from_str(text)
            .map_err(|error| Plain(&shortened(&error.to_string())).to_string())?;
        // A link-local address has its interface behind it: `fe80::1%eth0`.
        let address = row.network_ip.split('%').next().unwrap_or_default();
        let Ok(source) = address.parse() else {
            return Err(format!(
                "{}@{}: network_ip `{}` is not an address",
                Plain(&shortened(&row.reg_user)),
                Plain(&shortened(&row.realm)),
                Plain(&shortened(&row.network_ip))
            ));
        };
        // 0 is what modules write whose registrations do not run out (`mod_rtmp.c`, `mod_skinny.c`).
        let expires = number(&row.expires).filter(|expires| *expires > 0);
        let port = number(&row.network_port).and_then(|port| u16::try_from(port).ok());
        let Written { reg_user: user, realm: domain, token: call_id, .. } = row;
        Ok(Self { user, domain, call_id, source, port: port.filter(|port| *port > 0), expires })
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows are invalid ({}", self.count, self.named.join("; "))?;
        let more = self.count.saturating_sub(self.named.len() as u64);
        if more > 0 {
            write!(f, "; and {more} more")?;
        }
        f.write_str(")")
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The number behind `"row_count":`.
fn row_count(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, rest) = text.split_once("\"row_count\":")?;
    let digits = rest.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

fn shortened(text: &str) -> Cow<'_, str> {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
pub mod tests;
