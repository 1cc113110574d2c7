use sipward_engine::{Cause, Evidence, Exemption, Grade, Identity, Input, Mode, Text};

use super::*;

const NOON: Timestamp = Timestamp::from_micros(1_800_014_400 * 1_000_000);

fn at(seconds: u64) -> Timestamp {
    NOON + Duration::from_secs(seconds)
}

fn failure(address: &str) -> Judgement {
    Judgement {
        address: address.parse().unwrap(),
        user: Text::new("1000"),
        profile: Text::new("internal"),
        user_agent: Text::new("x"),
        grade: Grade::Answered,
        identity: Identity::Stranger,
        attention: false,
        failures: 1,
        exempt: None,
        banned: false,
    }
}

/// So many failures of an address, ten seconds apart.
fn failures(address: &str, count: u64) -> Vec<(Timestamp, Judgement)> {
    (0..count).map(|n| (at(10 * n), failure(address))).collect()
}

fn policy(max_failures: u32) -> Policy {
    Policy { max_failures, ..Policy::default() }
}

fn rehearsed(seen: &[(Timestamp, Judgement)], then: Policy) -> Rehearsed {
    let engine = Engine::new(Policy::default(), 1).unwrap();
    let of = |policy| banned(Box::new(engine.rehearsal(policy).unwrap()), seen);
    let (now, then) = (of(Policy::default()), of(then));
    Rehearsed { failures: seen.len() as u64, from: NOON, now, then }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn evidence(score: f64) -> Cause {
    Cause::Rule(Evidence {
        rule: RuleName::Failures,
        address: [203, 0, 113, 7].into(),
        identity: Identity::Stranger,
        failures: 5,
        score,
        max_failures: 5,
        window: Policy::default().window,
        grade: Grade::Answered,
        ban_count: 1,
        details: None,
    })
}

#[test]
fn a_lower_threshold_adds_those_who_stayed_below_the_one_in_force() {
    let seen = [failures("203.0.113.7", 3), failures("203.0.113.8", 9)].concat();
    let (_, added) = compare(Past::default(), &rehearsed(&seen, policy(3)));
    assert_eq!(added, BTreeMap::from([(net("203.0.113.7/32"), RuleName::Failures)]));
    let (_, none) = compare(Past::default(), &rehearsed(&seen, Policy::default()));
    assert!(none.is_empty(), "the same policy changes nothing: {none:?}");
}

#[test]
fn a_higher_threshold_takes_bans_out_by_their_evidence() {
    let mut past = Past::default();
    past.judge(at(0), net("203.0.113.7/32"), &evidence(5.0), &policy(8));
    past.judge(at(1), net("203.0.113.8/32"), &evidence(8.0), &policy(8));
    // Banned twice, and once on enough.
    past.judge(at(2), net("203.0.113.9/32"), &evidence(5.0), &policy(8));
    past.judge(at(3), net("203.0.113.9/32"), &evidence(9.0), &policy(8));
    past.judge(at(4), net("203.0.113.10/32"), &Cause::Adopted, &policy(8));
    assert_eq!((past.bans, past.nets.len()), (4, 3));
    let verdicts: Vec<Verdict> = past.nets.into_values().collect();
    let not_made = Verdict::NotMade(RuleName::Failures, NotMadeBecause::Threshold);
    assert_eq!(verdicts, [not_made, Verdict::Made, Verdict::Made]);
}

#[test]
fn what_the_evidence_leaves_open_the_failures_in_memory_decide() {
    // A shorter window.
    let then = || Policy { window: Duration::from_secs(15), ..Policy::default() };
    let mut past = Past::default();
    past.judge(at(60), net("203.0.113.7/32"), &evidence(5.0), &then());
    let (before, _) = compare(Past { from: None, ..past }, &rehearsed(&[], then()));
    assert!(matches!(before.nets[&net("203.0.113.7/32")], Verdict::Unsure(_)), "nothing is known");
    let seen = failures("203.0.113.7", 9);
    let (past, _) = compare(before, &rehearsed(&seen, then()));
    assert!(matches!(past.nets[&net("203.0.113.7/32")], Verdict::NotMade(..)), "ten seconds apart");
}

#[test]
fn who_logs_in_somewhere_and_who_is_exempt_is_so_in_the_rehearsal() {
    let mut engine = Engine::new(Policy::default(), 1).unwrap();
    let office = net("203.0.113.8/32");
    let class = Exemption::Allow;
    engine.handle(Input::Exempt { class, nets: vec![office] }, NOON, &mut Vec::new());
    let seen = [failures("203.0.113.7", 9), failures("203.0.113.8", 9)].concat();
    let mut rehearsal = Box::new(engine.rehearsal(policy(2)).unwrap());
    engine.introduce(&[[203, 0, 113, 7].into(), [203, 0, 113, 8].into()], &mut rehearsal);
    assert_eq!(banned(rehearsal, &seen).into_keys().collect::<Vec<_>>(), [net("203.0.113.7/32")]);
    // What FreeSWITCH's access lists exempted then.
    let mut spared = failures("203.0.113.9", 9);
    for (_, it) in &mut spared {
        it.exempt = Some(Exemption::Acl);
    }
    assert!(banned(Box::new(engine.rehearsal(policy(2)).unwrap()), &spared).is_empty());
}

#[test]
fn a_rule_that_is_to_ban_bans_in_the_rehearsal() {
    let mut then = Policy::default();
    then.rules.users.guard.mode = Mode::Ban;
    let seen: Vec<_> = (0..4)
        .map(|n| {
            (at(n), Judgement { user: Text::new(&format!("10{n}")), ..failure("203.0.113.7") })
        })
        .collect();
    let rehearsed = rehearsed(&seen, then.clone());
    let banned_by = rehearsed.then.get(&net("203.0.113.7/32")).copied();
    let expected = (then.rules.users.threshold <= 4).then_some(RuleName::Users);
    assert_eq!(banned_by, expected);
    assert!(rehearsed.now.is_empty());
}
