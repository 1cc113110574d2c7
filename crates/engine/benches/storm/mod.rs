//! Guesses of many sources in turn.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use sipward_engine::{
    Action, AuthAttempt, AuthFailure, AuthResult, Challenge, CoreId, Engine, Expiry, Input, Method,
    Policy, Timestamp,
};

pub(crate) const SOURCES: u32 = 100_000;

/// A stride that visits all sources in an order no cache can guess.
const STRIDE: u32 = 61_803;

/// Another one: sources no longer come in the order in which the engine met them.
const OTHER_STRIDE: u32 = 38_197;

/// Addresses from one source to the next: each has a /24 of its own, so that the rule about networks counts
/// every failure and bans none.
const APART: u32 = 256;

/// Guesses of [`SOURCES`] sources in turn. One guess is what FreeSWITCH makes of it: challenge, attempt
/// and failure, three events.
pub(crate) struct Storm {
    pub(crate) engine: Engine,
    actions: Vec<Action>,
    now: Timestamp,
    step: Duration,
    stride: u32,
    apart: u32,
    sequence: u64,
    turn: u32,
    /// Bans made.
    pub(crate) blocked: u64,
}

impl Storm {
    /// `bans` stand, of others; between two guesses `step` passes.
    #[expect(clippy::expect_used, reason = "a benchmark may stop")]
    pub(crate) fn new(bans: u32, step: Duration) -> Self {
        let mut engine = Engine::new(Policy::default(), 42).expect("the default policy");
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let mut actions = Vec::new();
        for n in 0..bans {
            let net = IpAddr::from((0x0A80_0000 + n * 3).to_be_bytes()).into();
            let ban = Input::Ban {
                net,
                until: Expiry::Never,
                scope: None,
                reason: String::new(),
                force: false,
            };
            engine.handle(ban, now, &mut actions);
            actions.clear();
        }
        let (stride, apart, sequence, turn) = (STRIDE, APART, 0, 0);
        let mut storm =
            Self { engine, actions, now, step, stride, apart, sequence, turn, blocked: 0 };
        for _ in 0..4 * SOURCES {
            storm.guess();
        }
        storm
    }

    /// From now on the sources come in another order than that in which the engine met them.
    pub(crate) fn shuffle(&mut self) {
        self.stride = OTHER_STRIDE;
    }

    /// From now on the sources fill whole /24s, of which the engine bans as many as it may.
    pub(crate) fn crowd(&mut self) {
        self.apart = 1;
    }

    pub(crate) fn guess(&mut self) {
        self.turn = (self.turn + self.stride) % SOURCES;
        let source = IpAddr::from((0x1000_0000 + self.turn * self.apart).to_be_bytes());
        self.now = self.now + self.step;
        self.sequence += 10;
        let (port, profile, core) = (5060, "internal", CoreId(1));
        let (user, user_agent) = ("1000", "Grandstream GXP1625 1.0.7.13");
        let call_id = "1125b20f21f84149@192.168.178.23";
        let challenge = Challenge { source, port, profile, user, call_id, core };
        let attempt = AuthAttempt {
            source,
            port,
            profile,
            user,
            domain: "pbx.example",
            realm: Some("pbx.example"),
            username: Some(user),
            call_id,
            websocket: false,
            result: AuthResult::Forbidden,
            user_agent,
            sequence: self.sequence,
            core,
        };
        let failure = AuthFailure {
            source,
            port,
            profile,
            user,
            domain: "pbx.example",
            user_agent,
            method: Method::Register,
            sequence: self.sequence + 1,
            core,
        };
        self.engine.handle(Input::Challenge(challenge), self.now, &mut self.actions);
        self.engine.handle(Input::AuthAttempt(attempt), self.now, &mut self.actions);
        self.engine.handle(Input::AuthFailure(failure), self.now, &mut self.actions);
        let blocks = self.actions.iter().filter(|action| matches!(action, Action::Block { .. }));
        self.blocked += blocks.count() as u64;
        black_box(&self.actions);
        self.actions.clear();
    }
}
