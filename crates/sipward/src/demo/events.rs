//! Plain events, header for header as a FreeSWITCH 1.11 sends them (`sofia_reg.c`).

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// One request as FreeSWITCH sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) source: IpAddr,
    pub(super) port: u16,
    pub(super) user: &'a str,
    pub(super) agent: &'a str,
}

/// Builds the events of one FreeSWITCH run.
#[derive(Debug)]
pub(super) struct Events {
    core: String,
    sequence: u64,
}

impl Events {
    pub(super) fn new(seed: u64) -> Self {
        let core = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            seed >> 32,
            seed & 0xffff,
            (seed >> 16) & 0xfff,
            (seed >> 4) & 0xfff,
            seed.rotate_left(17) & 0xffff_ffff_ffff,
        );
        Self { core, sequence: 400 }
    }

    /// `HEARTBEAT`.
    pub(super) fn heartbeat(&mut self) -> String {
        let mut event = self.head("HEARTBEAT", None, ("switch_core.c", "send_heartbeat", 95));
        event.push_str("Event-Info: System%20Ready\nUptime-msec: 80406\nSession-Count: 0\n\n");
        framed(&event)
    }

    /// Challenge, wrong answer, refusal.
    pub(super) fn failure(&mut self, request: Request<'_>) -> String {
        let mut events = self.pre_register(request);
        events.push_str(&self.attempt(request, request.user, "FORBIDDEN"));
        events.push_str(&self.register_failure(request));
        events
    }

    /// Challenge, right answer, registration.
    pub(super) fn success(&mut self, request: Request<'_>) -> String {
        let mut events = self.pre_register(request);
        events.push_str(&self.attempt(request, request.user, "SUCCESS"));
        let mut event = self.sofia("register", 2059);
        caller(&mut event, request);
        address(&mut event, request);
        let _ = writeln!(event, "username: {}\nrealm: pbx.test", request.user);
        let _ = writeln!(event, "user-agent: {}\n", encoded(request.agent));
        events.push_str(&framed(&event));
        events
    }

    /// What one blind packet causes: the nonce was never checked, no challenge went out.
    pub(super) fn blind_spoof(&mut self, request: Request<'_>) -> String {
        let mut events = self.attempt(request, "unknown", "FORBIDDEN");
        events.push_str(&self.register_failure(request));
        events
    }

    fn pre_register(&mut self, request: Request<'_>) -> String {
        let mut event = self.sofia("pre_register", 1810);
        caller(&mut event, request);
        address(&mut event, request);
        let _ = writeln!(event, "user-agent: {}\n", encoded(request.agent));
        framed(&event)
    }

    fn attempt(&mut self, request: Request<'_>, username: &str, result: &str) -> String {
        let mut event = self.sofia("register_attempt", 1606);
        caller(&mut event, request);
        address(&mut event, request);
        let _ = writeln!(event, "username: {username}\nrealm: pbx.test");
        let _ = writeln!(event, "user-agent: {}", encoded(request.agent));
        let _ = writeln!(event, "auth-result: {result}\n");
        framed(&event)
    }

    fn register_failure(&mut self, request: Request<'_>) -> String {
        let mut event = self.sofia("register_failure", 1792);
        let Request { source, port, user, agent } = request;
        let _ = writeln!(event, "profile-name: internal\nto-user: {user}\nto-host: pbx.test");
        let _ = writeln!(event, "network-ip: {}", encoded(&source.to_string()));
        let _ = writeln!(event, "user-agent: {}\nprofile-name: internal", encoded(agent));
        let _ = writeln!(event, "network-port: {port}\nregistration-type: REGISTER\n");
        framed(&event)
    }

    fn sofia(&mut self, subclass: &str, line: u32) -> String {
        let caller = ("sofia_reg.c", "sofia_reg_handle_register_token", line);
        self.head("CUSTOM", Some(subclass), caller)
    }

    fn head(&mut self, name: &str, subclass: Option<&str>, caller: (&str, &str, u32)) -> String {
        self.sequence += 1;
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let (file, function, line) = caller;
        let mut event = String::with_capacity(1024);
        if let Some(subclass) = subclass {
            let _ = writeln!(event, "Event-Subclass: sofia%3A%3A{subclass}");
        }
        let _ = write!(
            event,
            "Event-Name: {name}\nCore-UUID: {}\nFreeSWITCH-Hostname: demo\n\
             FreeSWITCH-Switchname: demo\nFreeSWITCH-IPv4: 192.0.2.2\n\
             FreeSWITCH-IPv6: 2001%3Adb8%3A%3A2\nEvent-Date-Timestamp: {micros}\n\
             Event-Calling-File: {file}\nEvent-Calling-Function: {function}\n\
             Event-Calling-Line-Number: {line}\nEvent-Sequence: {}\n",
            self.core, self.sequence,
        );
        event
    }
}

/// `BACKGROUND_JOB`: the answer to a `bgapi`.
pub(super) fn background_job(job: &str, answer: &str) -> String {
    framed(&format!(
        "Event-Name: BACKGROUND_JOB\nJob-UUID: {job}\nContent-Length: {}\n\n{answer}",
        answer.len()
    ))
}

fn caller(event: &mut String, Request { source, port, user, .. }: Request<'_>) {
    let host = match source {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    let contact = encoded(&format!("\"\" <sip:{user}@{host}:{port}>"));
    let _ = write!(
        event,
        "profile-name: internal\nfrom-user: {user}\nfrom-host: pbx.test\ncontact: {contact}\n\
         call-id: {:016x}\nrpid: unknown\nstatus: Registered(UDP)\nexpires: 300\n\
         to-user: {user}\nto-host: pbx.test\n",
        u64::from(port) << 32,
    );
}

fn address(event: &mut String, Request { source, port, .. }: Request<'_>) {
    let _ = writeln!(event, "network-ip: {}\nnetwork-port: {port}", encoded(&source.to_string()));
}

/// Percent-encodes what FreeSWITCH does (`switch_utils.h`, `SWITCH_URL_UNSAFE`).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte <= b' ' || byte >= 0x7f || b"\r\n #%&+:;<=>?@[\\]^`{|}\"".contains(&byte) {
            let _ = write!(out, "%{byte:02X}");
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

fn framed(event: &str) -> String {
    format!("Content-Length: {}\nContent-Type: text/event-plain\n\n{event}", event.len())
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
