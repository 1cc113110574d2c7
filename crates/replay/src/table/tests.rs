use std::collections::BTreeMap;
use std::sync::Arc;

use sipward_engine::{Details, Grade, Identity, RuleName, Stats, Text, Timestamp};

use super::*;
use crate::UnreadKind;
use crate::report::{MAX_BANS, MAX_OTHERS};

/// 2026-11-22 10:00 UTC.
const AT: Time = Time(Timestamp::from_micros(1_795_341_600_000_000));

const EVIL: &str = "\u{1b}[31m\r\nx\u{202e}\u{0}] from ip 10.9.9.9 and many more words than fit";

fn banned_by(rule: RuleName, source: &str) -> Banned {
    let details = Details {
        users: vec![Text::new(EVIL), Text::new("1000")],
        user_agent: Text::new(EVIL),
        ..Details::default()
    };
    let cause = Cause::Rule(Evidence {
        rule,
        address: "192.0.2.7".parse().unwrap(),
        identity: Identity::Known,
        failures: 1_000,
        score: 5.0,
        max_failures: 5,
        window: std::time::Duration::from_secs(90_061),
        grade: Grade::Answered,
        ban_count: 1,
        details: Some(Box::new(details)),
    });
    Banned {
        scope: sipward_engine::Scope::Host,
        net: source.parse().unwrap(),
        since: AT,
        until: None,
        cause: Arc::new(cause),
        logins_during: 3,
        logged_in_before: true,
        logged_in_after: true,
    }
}

fn report(bans: usize) -> Report {
    let mut report = Report {
        policy: EVIL.to_owned(),
        bans: Listed::new(MAX_BANS),
        shadowed: Listed::new(MAX_OTHERS),
        flows: Listed::new(10),
        refused: Listed::new(MAX_OTHERS),
        attention: Listed::new(MAX_OTHERS),
        alarms: Listed::new(MAX_OTHERS),
        healthy: Healthy {
            logins: 5,
            addresses: 2,
            logins_not_kept: 1,
            banned: BTreeMap::from([("2001:db8::7".parse().unwrap(), Text::new(EVIL))]),
            logins_lost: 3,
        },
        acl_questions: 1,
        forged_events: 1,
        unusable_events: 1,
        counters: Stats::default(),
    };
    for _ in 0..bans {
        let long = "2001:db8:1234:5678:9abc:def0:1234:5678/128";
        report.bans.push(banned_by(RuleName::Failures, "192.0.2.7/32"));
        report.bans.push(banned_by(RuleName::RawAddress, long));
        let Banned { net, cause, .. } = banned_by(RuleName::UserAgents, long);
        for rule_in_shadow in [true, false] {
            let cause = Arc::clone(&cause);
            report.shadowed.push(Shadow { at: AT, net, rule_in_shadow, cause });
        }
        let refused = Record::Refused { net, refusal: Refusal::Shared, cause };
        report.refused.push(Told { at: AT, record: refused });
        let (user, user_agent) = (Text::new(EVIL), Text::new(EVIL));
        let source = "192.0.2.7".parse().unwrap();
        let record =
            Record::NeedsAttention { address: source, user, user_agent, last_success: Some(AT) };
        report.attention.push(Told { at: AT, record });
    }
    report
}

fn tally() -> Tally {
    Tally {
        file: EVIL.to_owned(),
        from: Some(AT),
        to: Some(AT),
        events: 7,
        unusable: 1,
        undated: 2,
        set_back: 3,
        steps: 2,
        unread: vec![Unread {
            kind: UnreadKind::RowsMissing,
            rows: 5,
            first_line: 2,
            first: EVIL.to_owned(),
        }],
        damaged: 1,
        skipped_bytes: 99,
        ended_early: Some(EVIL.to_owned()),
        ..Tally::default()
    }
}

#[test]
fn every_line_fits_and_holds_nothing_that_a_terminal_would_obey() {
    let (first, second) = (report(1), report(0));
    let comparison = Comparison::of(&first, &second);
    let sources = [tally()];
    for second in [None, Some((&second, &comparison))] {
        let outcome = Outcome { sources: &sources, zone: Some("UTC+02"), first: &first, second };
        let text = outcome.to_string();
        for line in text.lines() {
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
            // Names of files are not cut: they must be found again.
            let name = line.starts_with("! ") || line.starts_with("Policy");
            let error = line.contains("not read to its end");
            assert!(name || error || line.chars().count() <= COLUMNS, "{line}");
        }
    }
}

#[test]
fn a_row_that_is_too_long_goes_on_in_the_next_line_at_its_place() {
    let first = report(1);
    let sources = [tally()];
    let text = Outcome { sources: &sources, zone: None, first: &first, second: None }.to_string();
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.ends_with("5678/128")).unwrap();
    assert_eq!(lines[at], "11-22 10:00:00 2001:db8:1234:5678:9abc:def0:1234:5678/128");
    assert!(lines[at + 1].trim_start().starts_with("raw_address "), "{}", lines[at + 1]);
    let heading = lines.iter().find(|line| line.starts_with("WHEN")).unwrap();
    assert_eq!(heading.find("RULE"), lines[at + 1].find("raw_address"));
}

#[test]
fn long_lists_are_cut_and_say_so() {
    let first = report(ROWS);
    let sources = [tally()];
    let text = Outcome { sources: &sources, zone: None, first: &first, second: None }.to_string();
    assert!(text.contains("1 network") || text.contains("2 networks, 200 bans"), "{text}");
    assert!(text.contains("... and 100 more (--json lists them)"), "{text}");
}

#[test]
fn a_log_alone_says_that_it_knows_no_logins() {
    let log = Tally { kind: Kind::Log, ..tally() };
    let first = report(0);
    let text = Outcome { sources: &[log], zone: None, first: &first, second: None }.to_string();
    assert!(text.contains("log files contain no log-ins"), "{text}");
}
