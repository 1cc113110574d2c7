//! Recordings made for a test, in the format of FreeSWITCH 1.11.

use std::fmt::Write as _;
use std::time::Duration;

use sipward_engine::Timestamp;

/// 2026-11-22 10:00 UTC.
pub(super) const START: Timestamp = Timestamp::from_micros(1_795_341_600_000_000);

/// Collects what happens.
#[derive(Debug)]
pub(super) struct World {
    stream: String,
    now: Timestamp,
    sequence: u64,
    core: u32,
}

impl Default for World {
    fn default() -> Self {
        let mut world = Self { stream: String::new(), now: START, sequence: 0, core: 1 };
        world.reconnect();
        world
    }
}

impl World {
    pub(super) fn recording(self) -> Vec<u8> {
        self.stream.into_bytes()
    }

    /// What comes next happens so many seconds after the start.
    pub(super) fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = START + Duration::from_secs(seconds);
        self
    }

    pub(super) fn reconnect(&mut self) {
        self.stream.push_str("Content-Type: auth/request\n\n");
    }

    pub(super) fn restart(&mut self) {
        self.core += 1;
    }

    pub(super) fn heartbeat(&mut self) {
        self.event("Event-Name: HEARTBEAT\n");
    }

    /// A challenge answered with a wrong password.
    pub(super) fn failure(&mut self, source: &str, user: &str) {
        self.failure_of(source, user, "Phone/1.0");
    }

    pub(super) fn failure_of(&mut self, source: &str, user: &str, agent: &str) {
        self.challenge(source, user, agent);
        self.refused(source, user, agent);
    }

    /// A wrong answer to the challenge of another sender.
    pub(super) fn unchallenged_failure(&mut self, source: &str, user: &str) {
        self.refused(source, user, "Phone/1.0");
    }

    /// A phone registers.
    pub(super) fn success(&mut self, source: &str, user: &str) {
        self.challenge(source, user, "Phone/1.0");
        self.attempt(source, user, "Phone/1.0", "SUCCESS");
        let who = who(source, user, "Phone/1.0");
        self.sofia("register", &format!("{who}username: {user}\nrealm: pbx.test\n"));
    }

    fn challenge(&mut self, source: &str, user: &str, agent: &str) {
        self.sofia("pre_register", &who(source, user, agent));
    }

    fn refused(&mut self, source: &str, user: &str, agent: &str) {
        self.attempt(source, user, agent, "FORBIDDEN");
        self.sofia(
            "register_failure",
            &format!(
                "profile-name: internal\nto-user: {user}\nto-host: pbx.test\nnetwork-ip: {source}\n\
                 user-agent: {agent}\nprofile-name: internal\nnetwork-port: 5060\n\
                 registration-type: REGISTER\n"
            ),
        );
    }

    fn attempt(&mut self, source: &str, user: &str, agent: &str, result: &str) {
        let who = who(source, user, agent);
        let rest = format!("username: {user}\nrealm: pbx.test\nauth-result: {result}\n");
        self.sofia("register_attempt", &(who + &rest));
    }

    fn sofia(&mut self, subclass: &str, headers: &str) {
        self.event(&format!(
            "Event-Subclass: sofia%3A%3A{subclass}\nEvent-Name: CUSTOM\n\
             Event-Calling-File: sofia_reg.c\nEvent-Calling-Function: \
             sofia_reg_handle_register_token\nEvent-Calling-Line-Number: 1\n{headers}"
        ));
    }

    fn event(&mut self, headers: &str) {
        self.sequence += 1;
        let body = format!(
            "{headers}Core-UUID: 3833e5b9-30a6-4853-84cc-577f{:08x}\nEvent-Sequence: {}\n\
             Event-Date-Timestamp: {}\n\n",
            self.core,
            self.sequence,
            self.now.as_micros(),
        );
        let length = body.len();
        let _ = write!(
            self.stream,
            "Content-Length: {length}\nContent-Type: text/event-plain\n\n{body}"
        );
    }
}

fn who(source: &str, user: &str, agent: &str) -> String {
    format!(
        "profile-name: internal\nfrom-user: {user}\nfrom-host: pbx.test\nto-user: {user}\n\
         to-host: pbx.test\nnetwork-ip: {source}\nnetwork-port: 5060\nuser-agent: {agent}\n"
    )
}

/// A failure as a row of the log file, so many seconds (less than a minute) after the start.
pub(super) fn log_row(second: u64, source: &str) -> String {
    format!(
        "2026-11-22 10:00:{second:02}.000000 99.77% [WARNING] sofia_reg.c:1787 SIP auth failure \
         (REGISTER) on sofia profile 'internal' for [1000@pbx.test] from ip {source}\n"
    )
}
