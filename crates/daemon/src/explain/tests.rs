use std::sync::Arc;

use sipward_engine::{Enforcement, Grade, Origin, RuleName, Timestamp};

use super::*;

fn view() -> SourceView<'static> {
    SourceView {
        addr: "203.0.113.7".parse().unwrap(),
        source: "203.0.113.7/32".parse().unwrap(),
        identity: Identity::Stranger,
        registrations: 0,
        failures: 0,
        score: 0.0,
        max_failures: 5,
        insider_until: None,
        denied_flows: Vec::new(),
        distrusted_until: None,
        grade: None,
        unproven: 0,
        unjoined: 0,
        exempt: None,
        ban: None,
        ban_count: 0,
        details: None,
    }
}

fn said(view: &SourceView<'_>, failures: usize, attention: usize) -> String {
    let policy = Policy::default();
    verdict(&Facts {
        view,
        policy: &policy,
        latest: Latest { failures, attention },
        trunk: None,
        slowed: None,
    })
}

#[test]
fn a_scanner_is_named_with_its_rate() {
    let (policy, view) = (Policy::default(), view());
    let said = |slowed| {
        let latest = Latest::default();
        verdict(&Facts { view: &view, policy: &policy, latest, trunk: None, slowed: Some(slowed) })
    };
    let slowed = |rule| slowed(view.addr, IpNet::from(view.addr), rule);
    let start = "not banned: 0 of 5 within 10m: stranger; limited to 1 packet a second ";
    assert_eq!(
        said(Limit { rate: Some(12.04), ..slowed(RuleName::Scan) }),
        format!("{start}by rule `scan`, because it sends many packets, now 12.0 a second")
    );
    assert_eq!(
        said(slowed(RuleName::Insider)),
        format!("{start}because it guesses passwords of other users")
    );
}

fn slowed(source: IpAddr, net: IpNet, rule: RuleName) -> Limit {
    Limit { net, source, rule, rate: None }
}

#[test]
fn an_ipv6_address_is_not_to_blame_for_its_neighbours() {
    let policy = Policy::default();
    let [one, other] = ["2001:db8:b001::5", "2001:db8:b001::7"].map(|text| text.parse().unwrap());
    let said = |source, rule, registrations| {
        let view = SourceView { addr: one, registrations, ..view() };
        let slowed = slowed(source, "2001:db8:b001::/64".parse().unwrap(), rule);
        let (latest, trunk, slowed) = (Latest::default(), None, Some(slowed));
        let said = verdict(&Facts { view: &view, policy: &policy, latest, trunk, slowed });
        said.split_once("stranger; ").unwrap().1.to_owned()
    };
    assert_eq!(
        said(other, RuleName::Insider, 1),
        "its network 2001:db8:b001::/64 is limited to 1 packet a second because 2001:db8:b001::7 \
         guesses passwords of other users, but not its registered phones"
    );
    assert_eq!(
        said(one, RuleName::Insider, 0),
        "limited to 1 packet a second with its network 2001:db8:b001::/64 because it guesses \
         passwords of other users"
    );
    assert_eq!(
        said(other, RuleName::Scan, 0),
        "its network 2001:db8:b001::/64 is limited to 1 packet a second by rule `scan`, because it \
         sends many packets"
    );
}

#[test]
fn the_threshold_is_that_of_the_identity() {
    let of = |identity, max_failures| {
        said(&SourceView { identity, max_failures, failures: 9, score: 9.0, ..view() }, 9, 0)
    };
    assert_eq!(of(Identity::Stranger, 5), "not banned: 9 of 5 within 10m: stranger");
    assert_eq!(
        of(Identity::Known, 20),
        "not banned: 9 of 20 within 10m: known phone; forgeable failures do not count"
    );
    assert!(of(Identity::Trusted, 20).starts_with("not banned: 9 of 20 within 10m: trusted phone"));
    assert!(
        of(Identity::Shared, 20).starts_with("not banned: 9 failures within 10m: proxy or NAT")
    );
}

#[test]
fn failures_of_the_exempt_and_of_phones_with_an_old_password_are_told() {
    let net = "203.0.113.0/24".parse().unwrap();
    let exempt = SourceView { exempt: Some((Exemption::Trunk, net)), ..view() };
    assert_eq!(
        said(&exempt, 12, 0),
        "exempt: trunk of FreeSWITCH (203.0.113.0/24); 12 failures within 10m do not count"
    );
    assert_eq!(said(&exempt, 0, 0), "exempt: trunk of FreeSWITCH (203.0.113.0/24)");
    let (policy, latest) = (Policy::default(), Latest::default());
    let trunk = Some("carrier1\u{1b}");
    let named = Facts { view: &exempt, policy: &policy, latest, trunk, slowed: None };
    assert_eq!(verdict(&named), "exempt: trunk carrier1\\u{1b} (203.0.113.0/24)");
    let phone = SourceView { identity: Identity::Known, ..view() };
    let text = said(&phone, 7, 7);
    assert!(text.contains("7 failures within 10m of a phone that logged in before"), "{text}");
    assert!(text.contains("count only from 60"), "{text}");
}

#[test]
fn weightless_failures_are_told_and_fractions_are_shown() {
    let view = SourceView { score: 1.25, failures: 5, unproven: 2, unjoined: 1, ..view() };
    assert_eq!(
        said(&view, 8, 0),
        "not banned: 1.25 of 5 within 10m: stranger; 3 more are forgeable and do not count"
    );
}

#[test]
fn a_ban_tells_its_own_evidence_after_the_window_has_passed() {
    let evidence = Evidence {
        rule: RuleName::Failures,
        address: "203.0.113.7".parse().unwrap(),
        identity: Identity::Stranger,
        failures: 5,
        score: 5.0,
        max_failures: 5,
        window: Duration::from_secs(600),
        grade: Grade::Answered,
        ban_count: 2,
        details: None,
    };
    let cause = Arc::new(Cause::Rule(evidence)).into();
    let enforcement = Enforcement::Enforced;
    let ban = BanView {
        net: "203.0.113.7/32".parse().unwrap(),
        since: Timestamp::default(),
        until: Expiry::Never,
        origin: Origin::Automatic,
        scope: sipward_engine::Scope::Host,
        cause: &cause,
        enforcement: &enforcement,
    };
    // Nothing of it is counted any more.
    let view = SourceView { ban: Some(ban), ..view() };
    assert_eq!(
        said(&view, 0, 0),
        "BANNED without an end as 203.0.113.7/32 by rule `failures`: 5 of 5 within 10m from 203.0.113.7, \
         ban 2"
    );
}
