//! Every cell of the table of effects, driven through `Engine::handle` and held against
//! `tests/fixtures/cells.tsv`.
//!
//! Only the rule in question is on, so that no other comes before it. A host is brought into a standing, and
//! fails with evidence of one grade until the rule's threshold is passed. What no sender can bring about is
//! `-` in the fixture: most rules about other things than failures know one or two grades only, and a
//! stranger has no registered dialog. `attended` are failures that are taken for those of a phone with an old
//! password, which no rule counts but `attention`.

use std::fmt::Write as _;
use std::time::Duration;

use sipward_engine::*;

use crate::world::*;

const HOST: &str = "192.0.2.7";

/// From which it fails.
const PORT: u16 = 41_234;

/// A FreeSWITCH that never sends attempts.
const OLD_CORE: CoreId = CoreId(0x01D);

/// Who fails: the user of [`World::register`], or one who never logged in there.
const OWN: &str = "1000";
const FOREIGN: &str = "7777";

fn only(rule: RuleName) -> Policy {
    let mut policy = Policy::default();
    let rules = &mut policy.rules;
    rules.failures.mode = Mode::Off;
    rules.user_agents.guard.mode = Mode::Off;
    policy.deafness.mode = Mode::Off;
    for other in [
        &mut rules.users,
        &mut rules.report,
        &mut rules.flood,
        &mut rules.slow,
        &mut rules.challenges,
        &mut rules.calls,
        &mut rules.raw_address,
        &mut rules.account,
        &mut rules.network,
        &mut rules.log,
        &mut rules.login,
        &mut rules.insider,
        &mut rules.scan,
    ] {
        other.guard = Guard { mode: Mode::Off, min_grade: Grade::Unjoined, scope: None };
    }
    match rule {
        RuleName::Failures => rules.failures.mode = Mode::Ban,
        RuleName::UserAgents => rules.user_agents.guard.mode = Mode::Ban,
        RuleName::Users => rules.users.guard.mode = Mode::Ban,
        RuleName::Report => rules.report.guard.mode = Mode::Ban,
        RuleName::Flood => rules.flood.guard.mode = Mode::Ban,
        RuleName::Slow => rules.slow.guard.mode = Mode::Ban,
        RuleName::Challenges => rules.challenges.guard.mode = Mode::Ban,
        RuleName::Calls => rules.calls.guard.mode = Mode::Ban,
        RuleName::RawAddress => rules.raw_address.guard.mode = Mode::Ban,
        RuleName::Account => rules.account.guard.mode = Mode::Ban,
        RuleName::Network => rules.network.guard.mode = Mode::Ban,
        RuleName::Log => rules.log.guard.mode = Mode::Ban,
        RuleName::Login => rules.login.guard.mode = Mode::Ban,
        RuleName::Insider => rules.insider.guard.mode = Mode::Ban,
        RuleName::Deafness => policy.deafness.mode = Mode::Ban,
        RuleName::Scan => rules.scan.guard.mode = Mode::Ban,
        RuleName::Attention => {}
    }
    policy
}

impl World {
    /// Brings a host into a standing. The world's clock goes on, so that nobody is blind any more.
    fn bring(&mut self, host: &str, standing: Standing, grade: Grade) {
        (self.call, self.port) = (CALL, 5060);
        let at = host.parse().unwrap();
        match standing {
            Standing::Stranger => {}
            Standing::Caller => drop(self.handle(Input::CallAccepted { source: at })),
            Standing::Known => drop(self.login(host, OWN)),
            Standing::Trusted | Standing::Shared => {
                for _ in 0..2 {
                    self.pass(DAY);
                    let users = if standing == Standing::Shared { 3 } else { 1 };
                    for user in [OWN, "1001", "1002"].into_iter().take(users) {
                        self.login(host, user);
                    }
                }
            }
            Standing::Registered => drop(self.register(host, OWN)),
            Standing::OthersRegistered => {
                self.call = "of another";
                self.register(host, "1001");
                self.call = CALL;
            }
        }
        if grade == Grade::Genuine {
            self.register(host, OWN);
            if !standing.is_registered() {
                let (user, domain, call_id) = (OWN, "pbx.test", CALL);
                let ended = RegistrationEnded { source: Some(at), user, domain, call_id };
                self.handle(Input::RegistrationEnded(ended));
            }
        }
    }

    /// One failure of a user with evidence of a grade.
    fn fail_with(&mut self, host: &str, user: &str, grade: Grade) -> Vec<Action> {
        let source = host.parse().unwrap();
        // Not that of a registration, which is never denied.
        (self.call, self.port) = ("another dialog", PORT);
        match grade {
            Grade::Unjoined => {
                let failure = a_failure(source, self.next());
                let (user_agent, domain, method) = (self.agent, self.domain, self.method);
                let port = PORT;
                let failure = AuthFailure { user, user_agent, domain, method, port, ..failure };
                let mut actions = self.handle(Input::AuthFailure(failure));
                actions.extend(self.pass(Duration::from_millis(200)));
                actions
            }
            Grade::Unproven => self.attempt_and_fail(host, user, None),
            Grade::Unchallenged => self.attempt_and_fail(host, user, Some(user)),
            Grade::Challenged => {
                let mut actions = self.challenge(host);
                self.call = "not the one that was challenged";
                actions.extend(self.attempt_and_fail(host, user, Some(user)));
                actions
            }
            Grade::Assumed => {
                let failure = a_failure(source, self.next());
                let (user_agent, domain, method) = (self.agent, self.domain, self.method);
                let (core, port) = (OLD_CORE, PORT);
                let failure =
                    AuthFailure { user, user_agent, domain, method, core, port, ..failure };
                let mut actions = self.handle(Input::AuthFailure(failure));
                actions.extend(self.pass(Duration::from_millis(200)));
                actions
            }
            Grade::Answered => self.fail_as(host, user, Some(user)),
            Grade::Genuine => {
                self.call = CALL;
                self.attempt_and_fail(host, user, Some(user))
            }
        }
    }
}

/// What a rule makes of evidence; `None` when nobody can bring it about.
#[expect(clippy::too_many_lines, reason = "one arm for each rule")]
fn effect(rule: RuleName, standing: Standing, grade: Grade) -> Option<&'static str> {
    let carries_none = matches!(
        rule,
        RuleName::Report
            | RuleName::Flood
            | RuleName::Challenges
            | RuleName::Log
            | RuleName::Login
            | RuleName::Scan
    );
    let none = if rule == RuleName::Login { Grade::Answered } else { Grade::Unjoined };
    let proved = rule == RuleName::Report && grade == Grade::Answered;
    if carries_none && grade != none && !proved || grade == Grade::Genuine && standing.is_strange()
    {
        return None;
    }
    let mut world = World::new(only(rule));
    // FreeSWITCH sends attempts.
    world.forge("203.0.113.250");
    world.bring(HOST, standing, grade);
    world.pass(2 * MINUTE);
    // A registered phone fails for itself, everybody else for somebody who is not known there.
    let own = standing == Standing::Registered || grade == Grade::Genuine;
    let user = if own { OWN } else { FOREIGN };
    let mut actions = Vec::new();
    let source: std::net::IpAddr = HOST.parse().unwrap();
    world.agent = if rule == RuleName::Attention { "pytest/1.0" } else { "another agent" };
    match rule {
        RuleName::Failures => {
            (0..40).for_each(|_| actions.extend(world.fail_with(HOST, user, grade)));
        }
        RuleName::Users => {
            if grade == Grade::Genuine {
                // One dialog is that of one user.
                return None;
            }
            for n in 0..15 {
                actions.extend(world.fail_with(HOST, &format!("u{n}"), grade));
            }
        }
        RuleName::UserAgents => {
            world.agent = "friendly-scanner";
            actions.extend(world.fail_with(HOST, user, grade));
        }
        RuleName::Report => {
            for _ in 0..4 {
                let reason = "call";
                actions.extend(world.handle(Input::Report { source, reason, proved }));
            }
        }
        RuleName::Flood => {
            let challenge = Input::Challenge(a_challenge(source));
            (0..250).for_each(|_| actions.extend(world.handle(challenge.clone())));
        }
        RuleName::Slow => {
            for _ in 0..40 {
                world.pass(10 * MINUTE);
                // A registration holds for an hour, and the phone stays.
                if standing.is_registered() || grade == Grade::Genuine {
                    world.bring(HOST, standing, grade);
                    world.pass(2 * MINUTE);
                    world.agent = "another agent";
                }
                actions.extend(world.fail_with(HOST, user, grade));
            }
        }
        RuleName::Challenges => {
            for _ in 0..70 {
                actions.extend(world.challenge(HOST));
                world.pass(SECOND);
            }
        }
        RuleName::Calls if grade == Grade::Unjoined => {
            (0..9).for_each(|_| actions.extend(world.handle(Input::AbandonedCall { source })));
        }
        RuleName::Calls => {
            world.method = Method::Invite;
            (0..9).for_each(|_| actions.extend(world.fail_with(HOST, user, grade)));
        }
        RuleName::RawAddress => {
            world.domain = "203.0.113.5";
            (0..9).for_each(|_| actions.extend(world.fail_with(HOST, user, grade)));
        }
        RuleName::Account => {
            for n in 0..12 {
                world.fail_with(&format!("198.51.{n}.1"), user, Grade::Answered);
            }
            (0..9).for_each(|_| actions.extend(world.fail_with(HOST, user, grade)));
        }
        RuleName::Network => {
            for n in 0..4 {
                let host = format!("198.51.100.{n}");
                world.bring(&host, standing, grade);
            }
            world.pass(2 * MINUTE);
            for n in 0..100 {
                let host = format!("198.51.100.{}", n % 4);
                actions.extend(world.fail_with(&host, user, grade));
            }
        }
        RuleName::Log => {
            let (user, kind) = (None, ComplaintKind::Reported);
            let complaint = Complaint { source, user, kind };
            (0..9).for_each(|_| actions.extend(world.handle(Input::Complaint(complaint))));
        }
        RuleName::Login => {
            (0..12).for_each(|_| actions.extend(world.handle(Input::LoginFailure { source })));
        }
        RuleName::Scan => actions.extend(world.handle(Input::Scanner { source, packets: 300 })),
        RuleName::Attention => {
            if !own && standing.is_strange() {
                return None;
            }
            let user = if standing == Standing::OthersRegistered && !own { FOREIGN } else { OWN };
            (0..70).for_each(|_| actions.extend(world.fail_with(HOST, user, grade)));
        }
        RuleName::Insider => {
            if own && grade == Grade::Genuine {
                return None;
            }
            for n in 0..60 {
                actions.extend(world.fail_with(HOST, &format!("g{}", n % 6), grade));
            }
        }
        RuleName::Deafness => {
            world.handle(Input::Packets { count: 0 });
            for n in 0..500_u32 {
                world.fail(&format!("198.{}.{}.1", 18 + n / 250, n % 250));
            }
            world.pass(2 * SECOND);
            world.handle(Input::Packets { count: 3_000 });
            (0..3).for_each(|_| actions.extend(world.fail_with(HOST, user, grade)));
        }
    }
    actions.extend(world.pass(SECOND));
    Some(seen(&actions, rule))
}

/// The strongest thing that a rule did.
fn seen(actions: &[Action], rule: RuleName) -> &'static str {
    let of = |cause: &Cause| cause.evidence().is_some_and(|evidence| evidence.rule == rule);
    let mut found = "nothing";
    for action in actions {
        match action {
            // Taken for a phone with an old password: no rule sees it but `attention`.
            Action::Judged(judged) if judged.attention && rule != RuleName::Attention => {
                found = if found == "nothing" { "attended" } else { found };
            }
            Action::Block { cause, .. } if of(cause) => {
                let evidence = cause.evidence().unwrap();
                assert!(Standing::unregistered(evidence.identity).is_strange(), "{evidence:?}");
                return "bans";
            }
            Action::DenyFlow { flow, cause, .. } if of(cause) => {
                assert_eq!((flow.source.to_string().as_str(), flow.port), (HOST, PORT));
                return "denies its flow";
            }
            Action::Slow { cause, .. } if of(cause) => return "slows",
            Action::Refused { cause, .. } | Action::Shadowed { cause, .. } if of(cause) => {
                found = "reports";
            }
            Action::Alarm(Alarm::Insider { .. }) if rule == RuleName::Insider => found = "reports",
            _ => {}
        }
    }
    found
}

#[test]
fn every_cell_does_what_the_fixture_says() {
    let mut found = String::from("rule\tstanding\tgrade\teffect\n");
    for rule in RuleName::ALL {
        for standing in Standing::ALL {
            for grade in Grade::ALL {
                let effect = effect(rule, standing, grade).unwrap_or("-");
                let _ = writeln!(found, "{rule:?}\t{standing:?}\t{grade:?}\t{effect}");
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cells.tsv");
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    let differ: Vec<String> = found
        .lines()
        .zip(expected.lines().chain(std::iter::repeat("")))
        .filter(|(found, expected)| found != expected)
        .map(|(found, expected)| format!("found {found:?}, expected {expected:?}"))
        .collect();
    if !differ.is_empty() {
        let _ = std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/cells.tsv"), &found);
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
