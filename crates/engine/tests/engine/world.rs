//! A short hand for the tests: one FreeSWITCH, a running sequence, simulated time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::*;

/// Call-ID of a phone that starts once.
pub(crate) const CALL: &str = "7a6737b8270b022b";

pub(crate) const CORE: CoreId = CoreId(0xC0DE);

/// An engine, its clock, and the sets of networks and flows the kernel would hold.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Timestamp,
    pub(crate) kernel: BTreeMap<IpNet, Scope>,
    pub(crate) denied: BTreeSet<Flow>,
    pub(crate) agent: &'static str,
    pub(crate) domain: &'static str,
    pub(crate) method: Method,
    /// Call-ID of what follows.
    pub(crate) call: &'static str,
    /// Source port of what follows.
    pub(crate) port: u16,
    sequence: u64,
}

impl World {
    pub(crate) fn new(policy: Policy) -> Self {
        let mut engine = Engine::new(policy, 42).unwrap();
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        engine.tick(now, &mut Vec::new());
        Self {
            engine,
            now,
            kernel: BTreeMap::new(),
            denied: BTreeSet::new(),
            agent: "pytest/1.0",
            domain: "pbx.test",
            method: Method::Register,
            call: CALL,
            port: 5060,
            sequence: 0,
        }
    }

    /// Whole networks are left alone: the strangers of a test share them.
    pub(crate) fn without_networks(mut policy: Policy) -> Self {
        policy.rules.network.guard.mode = Mode::Off;
        Self::new(policy)
    }

    pub(crate) fn handle(&mut self, input: Input<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        self.engine.handle(input, self.now, &mut actions);
        self.carry_out(&actions);
        actions
    }

    /// Lets time pass, waking the engine only at the end.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now = self.now + time;
        let mut actions = Vec::new();
        self.engine.tick(self.now, &mut actions);
        self.carry_out(&actions);
        actions
    }

    /// A failure with a valid nonce: attempt and failure.
    pub(crate) fn fail(&mut self, source: &str) -> Vec<Action> {
        self.fail_as(source, "1000", Some("1000"))
    }

    /// One blind packet: the nonce is never checked.
    pub(crate) fn forge(&mut self, source: &str) -> Vec<Action> {
        self.fail_as(source, "1000", None)
    }

    /// Challenge, attempt and failure.
    pub(crate) fn fail_as(
        &mut self,
        source: &str,
        user: &str,
        username: Option<&str>,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        if username.is_some() {
            actions = self.challenge(source);
        }
        actions.extend(self.attempt_and_fail(source, user, username));
        actions
    }

    /// A request without credentials is challenged.
    pub(crate) fn challenge(&mut self, source: &str) -> Vec<Action> {
        let challenge = a_challenge(source.parse().unwrap());
        let (call_id, port) = (self.call, self.port);
        self.handle(Input::Challenge(Challenge { call_id, port, ..challenge }))
    }

    /// A failure with a valid nonce that was not fetched by this source.
    pub(crate) fn borrow_nonce(&mut self, source: &str) -> Vec<Action> {
        self.attempt_and_fail(source, "1000", Some("1000"))
    }

    pub(crate) fn attempt_and_fail(
        &mut self,
        source: &str,
        user: &str,
        username: Option<&str>,
    ) -> Vec<Action> {
        let source = source.parse().unwrap();
        let (user_agent, domain, method) = (self.agent, self.domain, self.method);
        let attempt = an_attempt(source, self.next());
        let (call_id, port) = (self.call, self.port);
        let attempt = AuthAttempt { user, username, user_agent, call_id, domain, port, ..attempt };
        let mut actions = self.handle(Input::AuthAttempt(attempt));
        let failure = a_failure(source, self.next());
        let failure = AuthFailure { user, user_agent, domain, method, port, ..failure };
        actions.extend(self.handle(Input::AuthFailure(failure)));
        actions
    }

    /// Challenge and success.
    pub(crate) fn login(&mut self, source: &str, user: &str) -> Vec<Action> {
        let source = source.parse().unwrap();
        let (call_id, port) = (self.call, self.port);
        self.handle(Input::Challenge(Challenge { call_id, port, ..a_challenge(source) }));
        self.succeed(source, user)
    }

    /// The right password, without a challenge.
    pub(crate) fn succeed(&mut self, source: IpAddr, user: &str) -> Vec<Action> {
        let attempt = an_attempt(source, self.next());
        self.handle(Input::AuthAttempt(AuthAttempt {
            user,
            username: Some(user),
            user_agent: self.agent,
            domain: self.domain,
            realm: Some("pbx.test"),
            call_id: self.call,
            result: AuthResult::Success,
            port: self.port,
            ..attempt
        }))
    }

    /// Challenge, success and registration.
    pub(crate) fn register(&mut self, source: &str, user: &str) -> Vec<Action> {
        let mut actions = self.login(source, user);
        let registered = a_registration(source.parse().unwrap());
        let (call_id, user_agent) = (self.call, self.agent);
        actions.extend(self.handle(Input::Registered(Registered {
            user,
            username: Some(user),
            call_id,
            user_agent,
            port: Some(self.port),
            ..registered
        })));
        actions
    }

    pub(crate) fn identity(&self, addr: &str) -> Identity {
        self.engine.source(addr.parse().unwrap()).identity
    }

    pub(crate) fn fails(&mut self, source: &str, times: usize) -> Vec<Action> {
        (0..times).flat_map(|_| self.fail(source)).collect()
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.sequence += 10;
        self.sequence
    }

    pub(crate) fn exempt(&mut self, class: Exemption, nets: &[&str]) -> Vec<Action> {
        let nets = nets.iter().map(|text| net(text)).collect();
        self.handle(Input::Exempt { class, nets })
    }

    pub(crate) fn ban(&mut self, text: &str, time: Duration) -> Vec<Action> {
        let until = Expiry::At(self.now + time);
        self.handle(Input::Ban {
            net: net(text),
            until,
            scope: None,
            reason: "test".into(),
            force: false,
        })
    }

    pub(crate) fn unban(&mut self, text: &str) -> Vec<Action> {
        self.handle(Input::Unban { net: net(text) })
    }

    pub(crate) fn banned(&self) -> Vec<String> {
        self.engine.bans().map(|ban| ban.net.to_string()).collect()
    }

    pub(crate) fn is_banned(&self, addr: &str) -> bool {
        self.engine.source(addr.parse().unwrap()).ban.is_some()
    }

    /// Takes in a flow that the kernel has held since before.
    pub(crate) fn handle_restored(&mut self, input: Input<'_>) -> Vec<Action> {
        if let Input::RestoreFlow { flow, .. } = &input {
            self.denied.insert(*flow);
        }
        self.handle(input)
    }

    fn carry_out(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Block { net, scope, .. } => {
                    self.kernel.insert(*net, *scope);
                }
                Action::Unblock { net, .. } => {
                    self.kernel.remove(net);
                }
                Action::DenyFlow { flow, .. } => {
                    self.denied.insert(*flow);
                }
                Action::AllowFlow { flow, .. } => {
                    assert!(self.denied.remove(flow), "{flow} is allowed once");
                }
                _ => {}
            }
        }
        let bans: BTreeMap<IpNet, Scope> =
            self.engine.bans().map(|ban| (ban.net, ban.scope)).collect();
        assert_eq!(self.kernel, bans, "the actions give the bans");
        let flows: BTreeSet<Flow> = self.engine.flows().map(|view| view.flow).collect();
        assert_eq!(self.denied, flows, "the actions give the flows");
        for flow in flows {
            let live = self.engine.registered_flows(flow.source).any(|port| port == flow.port);
            assert!(!live, "{flow} is registered");
        }
    }
}

pub(crate) fn a_failure(source: IpAddr, sequence: u64) -> AuthFailure<'static> {
    AuthFailure {
        source,
        port: 5060,
        profile: "internal",
        user: "1000",
        domain: "pbx.test",
        user_agent: "pytest/1.0",
        method: Method::Register,
        sequence,
        core: CORE,
    }
}

pub(crate) fn a_challenge(source: IpAddr) -> Challenge<'static> {
    let (profile, user) = ("internal", "1000");
    Challenge { source, port: 5060, profile, user, call_id: CALL, core: CORE }
}

pub(crate) fn an_attempt(source: IpAddr, sequence: u64) -> AuthAttempt<'static> {
    AuthAttempt {
        source,
        port: 5060,
        profile: "internal",
        user: "1000",
        domain: "pbx.test",
        realm: Some("pbx.test"),
        username: Some("1000"),
        call_id: CALL,
        websocket: false,
        result: AuthResult::Forbidden,
        user_agent: "pytest/1.0",
        sequence,
        core: CORE,
    }
}

pub(crate) fn a_registration(source: IpAddr) -> Registered<'static> {
    Registered {
        source,
        port: Some(5060),
        user: "1000",
        domain: "pbx.test",
        realm: Some("pbx.test"),
        username: Some("1000"),
        call_id: CALL,
        user_agent: "pytest/1.0",
        life: None,
        core: CORE,
    }
}

pub(crate) fn net(text: &str) -> IpNet {
    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).unwrap()
}

pub(crate) fn blocks(actions: &[Action]) -> Vec<String> {
    let nets = actions.iter().filter_map(|action| match action {
        Action::Block { net, .. } => Some(net.to_string()),
        _ => None,
    });
    nets.collect()
}

pub(crate) fn unblocks(actions: &[Action]) -> Vec<(String, UnblockReason)> {
    let nets = actions.iter().filter_map(|action| match action {
        Action::Unblock { net, reason } => Some((net.to_string(), *reason)),
        _ => None,
    });
    nets.collect()
}

/// Flows that are denied by these, in their order.
pub(crate) fn denials(actions: &[Action]) -> Vec<String> {
    let flows = actions.iter().filter_map(|action| match action {
        Action::DenyFlow { flow, .. } => Some(flow.to_string()),
        _ => None,
    });
    flows.collect()
}

/// Flows that are allowed again, and why.
pub(crate) fn allowed(actions: &[Action]) -> Vec<(String, UnblockReason)> {
    let flows = actions.iter().filter_map(|action| match action {
        Action::AllowFlow { flow, reason } => Some((flow.to_string(), *reason)),
        _ => None,
    });
    flows.collect()
}

pub(crate) fn refusals(actions: &[Action]) -> Vec<Refusal> {
    let reasons = actions.iter().filter_map(|action| match action {
        Action::Refused { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

pub(crate) fn grades(actions: &[Action]) -> Vec<Grade> {
    let grades = actions.iter().filter_map(|action| match action {
        Action::Judged(judgement) => Some(judgement.grade),
        _ => None,
    });
    grades.collect()
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
