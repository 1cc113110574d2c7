//! One run of FreeSWITCH: its identity, its event counter, and the events it makes up.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use super::{Attempt, Frame, Outcome, encoding};

/// Where a fresh core's `Event-Sequence` begins: a real one has sent some hundred events before
/// the first client is there.
const FIRST_SEQUENCE: u64 = 440;

/// `Event-Calling-Line-Number` of each event in the recordings.
mod line {
    pub(super) const ATTEMPT: u32 = 1606;
    pub(super) const EXPIRE: u32 = 726;
    pub(super) const FAILURE: u32 = 1792;
    pub(super) const PRE_REGISTER: u32 = 1810;
    pub(super) const REGISTER: u32 = 2059;
    pub(super) const UNREGISTER: u32 = 2213;
}

/// One run of FreeSWITCH, from its start to its end.
#[derive(Debug)]
pub(super) struct Core {
    uuid: String,
    sequence: u64,
    started: SystemTime,
}

impl Core {
    pub(super) fn new() -> Self {
        Self { uuid: random_uuid(), sequence: FIRST_SEQUENCE, started: SystemTime::now() }
    }

    pub(super) fn uuid(&self) -> &str {
        &self.uuid
    }

    /// The events that `outcome` of `attempt` causes, in the order of the recordings.
    pub(super) fn events(&mut self, attempt: &Attempt, outcome: Outcome) -> Vec<Frame> {
        match outcome {
            Outcome::WrongPassword => vec![
                self.pre_register(attempt),
                self.attempt(attempt, &attempt.user, "FORBIDDEN"),
                self.failure(attempt),
            ],
            Outcome::BorrowedNonce => {
                vec![self.attempt(attempt, &attempt.user, "FORBIDDEN"), self.failure(attempt)]
            }
            Outcome::BlindSpoof => {
                vec![self.attempt(attempt, "unknown", "FORBIDDEN"), self.failure(attempt)]
            }
            Outcome::AttemptLost => vec![self.failure(attempt)],
            Outcome::ForgedBySendevent => vec![self.forged(attempt)],
            Outcome::Challenged => vec![self.pre_register(attempt)],
            Outcome::Stale => {
                vec![self.attempt(attempt, "unknown", "STALE"), self.pre_register(attempt)]
            }
            Outcome::Admitted => {
                vec![self.attempt(attempt, &attempt.user, "RENEWED"), self.register(attempt)]
            }
            Outcome::Registered => vec![
                self.pre_register(attempt),
                self.attempt(attempt, &attempt.user, "RENEWED"),
                self.register(attempt),
            ],
            Outcome::Unregistered => vec![
                self.pre_register(attempt),
                self.attempt(attempt, &attempt.user, "RENEWED"),
                self.unregister(attempt),
            ],
            Outcome::Expired => vec![self.expire(attempt)],
        }
    }

    pub(super) fn heartbeat(&mut self) -> Frame {
        let up = self.started.elapsed().unwrap_or_default().as_millis();
        let mut event = self.begin("HEARTBEAT", "switch_core.c", "send_heartbeat", 95);
        event.header("Event-Info", "System Ready");
        event.header("Up-Time", &format!("0 years, 0 days, 0 hours, 0 minutes, {up} milliseconds"));
        event.header("FreeSWITCH-Version", "1.11.3-dev~64bit");
        event.header("Uptime-msec", &up.to_string());
        for (name, value) in [
            ("Session-Count", "0"),
            ("Max-Sessions", "1000"),
            ("Session-Per-Sec", "30"),
            ("Session-Per-Sec-Last", "0"),
            ("Session-Per-Sec-Max", "0"),
            ("Session-Per-Sec-FiveMin", "0"),
            ("Session-Since-Startup", "0"),
            ("Session-Peak-Max", "0"),
            ("Session-Peak-FiveMin", "0"),
        ] {
            event.header(name, value);
        }
        event.header("Idle-CPU", "99.000000");
        event.finish()
    }

    pub(super) fn shutdown(&mut self) -> Frame {
        let mut event = self.begin("SHUTDOWN", "switch_core.c", "switch_core_destroy", 3033);
        event.header("Event-Info", "System Shutting Down");
        event.finish()
    }

    /// `BACKGROUND_JOB`: the answer to `bgapi`, with a body of its own.
    pub(super) fn background_job(&mut self, job: &str, command: &str, body: &str) -> Frame {
        let mut event = self.begin("BACKGROUND_JOB", "mod_event_socket.c", "api_exec", 1580);
        event.header("Job-UUID", job);
        event.header("Job-Command", command);
        event.header("Content-Length", &body.len().to_string());
        event.text.push('\n');
        event.text.push_str(body);
        Frame::event_plain(&event.text)
    }

    /// A recorded event as if it happened now in this run: own `Core-UUID`, next `Event-Sequence`,
    /// present time.
    pub(super) fn adopt(&mut self, recorded: &Frame) -> Frame {
        self.sequence += 1;
        let (micros, local, gmt) = clock();
        recorded
            .with_header("Core-UUID", &self.uuid)
            .with_header("Event-Sequence", &self.sequence.to_string())
            .with_header("Event-Date-Timestamp", &micros.to_string())
            .with_header("Event-Date-Local", &local)
            .with_header("Event-Date-GMT", &gmt)
    }

    fn pre_register(&mut self, attempt: &Attempt) -> Frame {
        let mut event = self.sofia("pre_register", line::PRE_REGISTER);
        event.header("profile-name", &attempt.profile);
        event.who(attempt);
        event.header("user-agent", &attempt.user_agent);
        let frame = event.finish();
        // In the recordings another event, without a subscriber, takes the next number.
        self.sequence += 1;
        frame
    }

    fn attempt(&mut self, attempt: &Attempt, username: &str, result: &str) -> Frame {
        let mut event = self.sofia("register_attempt", line::ATTEMPT);
        event.header("profile-name", &attempt.profile);
        event.who(attempt);
        event.header("username", username);
        event.header("realm", &attempt.domain);
        event.header("user-agent", &attempt.user_agent);
        event.header("auth-result", result);
        event.finish()
    }

    fn failure(&mut self, attempt: &Attempt) -> Frame {
        let mut event = self.sofia("register_failure", line::FAILURE);
        event.header("profile-name", &attempt.profile);
        event.header("to-user", &attempt.user);
        event.header("to-host", &attempt.domain);
        event.header("network-ip", &attempt.source.to_string());
        event.header("user-agent", &attempt.user_agent);
        event.header("profile-name", &attempt.profile);
        event.header("network-port", &attempt.port.to_string());
        event.header("registration-type", attempt.method.name());
        event.finish()
    }

    fn register(&mut self, attempt: &Attempt) -> Frame {
        let mut event = self.sofia("register", line::REGISTER);
        event.header("profile-name", &attempt.profile);
        event.who(attempt);
        event.header("username", &attempt.user);
        event.header("realm", &attempt.domain);
        event.header("user-agent", &attempt.user_agent);
        for name in ["sip_number_alias", "sip_auth_username"] {
            event.header(name, &attempt.user);
        }
        event.header("sip_auth_realm", &attempt.domain);
        event.header("user_context", "public");
        event.finish()
    }

    fn unregister(&mut self, attempt: &Attempt) -> Frame {
        let mut event = self.sofia("unregister", line::UNREGISTER);
        event.header("profile-name", &attempt.profile);
        event.header("username", &attempt.user);
        event.header("from-user", &attempt.user);
        event.header("from-host", &attempt.domain);
        event.header("contact", &attempt.contact());
        event.header("call-id", &attempt.call_id);
        event.header("rpid", "unknown");
        event.header("realm", &attempt.domain);
        event.header("network-ip", &attempt.source.to_string());
        event.header("network-port", &attempt.port.to_string());
        event.header("user-agent", &attempt.user_agent);
        event.header("expires", "0");
        for name in ["sip_number_alias", "sip_auth_username"] {
            event.header(name, &attempt.user);
        }
        event.header("sip_auth_realm", &attempt.domain);
        for name in ["number_alias", "user_name"] {
            event.header(name, &attempt.user);
        }
        event.header("domain_name", &attempt.domain);
        event.header("user_context", "public");
        event.header("accountcode", &attempt.user);
        event.finish()
    }

    fn expire(&mut self, attempt: &Attempt) -> Frame {
        let mut event = self.sofia("expire", line::EXPIRE);
        event.header("profile-name", &attempt.profile);
        event.header("call-id", &attempt.call_id);
        event.header("user", &attempt.user);
        event.header("username", &attempt.user);
        event.header("host", &attempt.domain);
        event.header("contact", &attempt.contact());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        event.header("expires", &now.as_secs().to_string());
        event.header("user-agent", &attempt.user_agent);
        event.header("realm", &attempt.domain);
        event.header("network-ip", &attempt.source.to_string());
        event.header("network-port", &attempt.port.to_string());
        event.finish()
    }

    /// As in `session/sendevent-CUSTOM`: any authenticated client can have FreeSWITCH send this.
    fn forged(&mut self, attempt: &Attempt) -> Frame {
        let mut event = Event { text: String::new() };
        event.header("Event-Subclass", "sofia::register_failure");
        event.header("Command", "sendevent CUSTOM");
        event.header("network-ip", &attempt.source.to_string());
        event.header("to-user", &attempt.user);
        event.header("Event-UUID", &random_uuid());
        event.header("Event-Name", "CUSTOM");
        self.common(&mut event, "mod_event_socket.c", "parse_command", 2283);
        event.finish()
    }

    fn sofia(&mut self, subclass: &str, line: u32) -> Event {
        let mut event = Event { text: String::new() };
        event.header("Event-Subclass", &format!("sofia::{subclass}"));
        event.header("Event-Name", "CUSTOM");
        self.common(&mut event, "sofia_reg.c", "sofia_reg_handle_register_token", line);
        event
    }

    fn begin(&mut self, name: &str, file: &str, function: &str, line: u32) -> Event {
        let mut event = Event { text: String::new() };
        event.header("Event-Name", name);
        self.common(&mut event, file, function, line);
        event
    }

    fn common(&mut self, event: &mut Event, file: &str, function: &str, line: u32) {
        self.sequence += 1;
        let (micros, local, gmt) = clock();
        event.header("Core-UUID", &self.uuid);
        event.header("FreeSWITCH-Hostname", "vm");
        event.header("FreeSWITCH-Switchname", "fslab");
        event.header("FreeSWITCH-IPv4", "192.0.2.2");
        event.header("FreeSWITCH-IPv6", "fd00::2");
        event.header("Event-Date-Local", &local);
        event.header("Event-Date-GMT", &gmt);
        event.header("Event-Date-Timestamp", &micros.to_string());
        event.header("Event-Calling-File", file);
        event.header("Event-Calling-Function", function);
        event.header("Event-Calling-Line-Number", &line.to_string());
        event.header("Event-Sequence", &self.sequence.to_string());
    }
}

impl Attempt {
    fn contact(&self) -> String {
        let host = match self.source {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        format!("\"\" <sip:{}@{host}:{}>", self.user, self.port)
    }
}

/// A plain event in the making.
struct Event {
    text: String,
}

impl Event {
    fn header(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        self.text.push_str(": ");
        self.text.push_str(&encoding::encode(value));
        self.text.push('\n');
    }

    /// What `pre_register`, `register_attempt` and `register` say about the sender. `from-user`
    /// holds the To user and `to-user` the From user; the two are equal here.
    fn who(&mut self, attempt: &Attempt) {
        self.header("from-user", &attempt.user);
        self.header("from-host", &attempt.domain);
        self.header("contact", &attempt.contact());
        self.header("call-id", &attempt.call_id);
        self.header("rpid", "unknown");
        self.header("status", "Registered(UDP)");
        self.header("expires", "300");
        self.header("to-user", &attempt.user);
        self.header("to-host", &attempt.domain);
        self.header("network-ip", &attempt.source.to_string());
        self.header("network-port", &attempt.port.to_string());
    }

    fn finish(mut self) -> Frame {
        self.text.push('\n');
        Frame::event_plain(&self.text)
    }
}

/// Now: microseconds since the epoch, and the two dates of every event (the host runs in UTC).
fn clock() -> (u128, String, String) {
    let now = SystemTime::now();
    let micros = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let utc = Timestamp::try_from(now).unwrap_or_default();
    let local = utc.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let gmt = utc.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    (micros, local, gmt)
}

pub(super) fn random_uuid() -> String {
    let bits = fastrand::u128(..);
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        bits >> 96,
        (bits >> 80) & 0xffff,
        (bits >> 64) & 0x0fff,
        ((bits >> 48) & 0x3fff) | 0x8000,
        bits & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
