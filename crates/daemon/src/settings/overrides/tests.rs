use std::time::Duration;

use sipward_engine::{Grade, Mode, RuleName};

use super::*;
use sipward_model::wire::RuleSetting;

fn file(text: &str) -> Config {
    Config::parse(text, "sipward.toml".as_ref()).unwrap()
}

fn set(key: PolicyKey, value: impl Into<Value>, stored: bool) -> PolicyEdit {
    PolicyEdit::Set { values: vec![(key, value.into())], stored }
}

fn entry(host: &str) -> AllowEntry {
    AllowEntry { host: host.parse().unwrap(), comment: None, since: Timestamp::EPOCH, until: None }
}

fn told(before: &Overrides, after: &Overrides) -> Vec<String> {
    let entries = after.entries_since(before, Timestamp::EPOCH);
    let word = |entry: Entry| match entry {
        Entry::Override(Override { key, value, .. }) => format!("{key} = {value}"),
        Entry::Reset { key } => format!("{key} reset"),
        other => panic!("{other:?}"),
    };
    entries.into_iter().map(word).collect()
}

#[test]
fn the_file_is_outranked_by_what_is_stored_and_that_by_what_is_not() {
    let file = file("[policy]\nmax_failures = 7\n");
    let max_failures = |overrides: &Overrides| overrides.over(&file).policy.max_failures;
    let mut overrides = Overrides::default();
    assert_eq!(max_failures(&overrides), 7);

    overrides.edit(&set(PolicyKey::MaxFailures, 4, true));
    assert_eq!(max_failures(&overrides), 4);
    overrides.edit(&set(PolicyKey::MaxFailures, 3, false));
    assert_eq!(max_failures(&overrides), 3);
    assert_eq!(
        overrides.policy(PolicyKey::MaxFailures).stored,
        Some(4.into()),
        "for the next start"
    );
    overrides.edit(&set(PolicyKey::MaxFailures, 2, true));
    assert_eq!(max_failures(&overrides), 2, "the latest word");
    overrides.edit(&PolicyEdit::Reset(PolicyKey::MaxFailures));
    assert_eq!(max_failures(&overrides), 7);
}

#[test]
fn only_what_lasts_is_stored() {
    let nothing = Overrides::default();
    let mut stored = nothing.clone();
    stored.edit(&set(PolicyKey::WindowSeconds, 60, true));
    assert_eq!(told(&nothing, &stored), ["policy.window = 60"]);
    let mut runtime = stored.clone();
    runtime.edit(&set(PolicyKey::BanTimeSeconds, 60, false));
    assert_eq!(told(&stored, &runtime), [""; 0]);
    let mut reset = runtime.clone();
    reset.edit(&PolicyEdit::Reset(PolicyKey::WindowSeconds));
    assert_eq!(told(&runtime, &reset), ["policy.window reset"]);
}

#[test]
fn what_does_not_fit_is_refused_by_its_own_name() {
    let file = file("[policy]\nban_time = \"1h\"\n[policy.escalation]\nmax = \"2h\"\n");
    let refused = |edit: &PolicyEdit| {
        let mut overrides = Overrides::default();
        overrides.edit(edit);
        overrides.check(edit, &file).err().map(|unfit| (unfit.key, unfit.detail))
    };
    for (key, value) in [
        (PolicyKey::MaxFailures, 0),
        (PolicyKey::MaxFailures, 1_001),
        (PolicyKey::MaxFailures, u64::MAX),
        (PolicyKey::WindowSeconds, 604_801),
        (PolicyKey::BanTimeSeconds, 7_201),
    ] {
        let (named, detail) = refused(&set(key, value, false)).unwrap();
        assert_eq!(named, key, "{detail}");
    }
    assert_eq!(refused(&set(PolicyKey::BanTimeSeconds, 7_200, false)), None);
}

#[test]
fn an_override_that_no_longer_fits_the_file_is_left_out_and_the_others_hold() {
    let mut overrides = Overrides::default();
    overrides.edit(&set(PolicyKey::BanTimeSeconds, 36_000, true));
    overrides.edit(&set(PolicyKey::MaxFailures, 3, true));
    let policy = overrides.over(&file("[policy.escalation]\nmax = \"2h\"\n")).policy;
    assert_eq!(policy.ban_time, Duration::from_secs(3_600));
    assert_eq!(policy.max_failures, 3);
}

#[test]
fn the_allow_list_is_that_of_the_file_and_what_was_added() {
    let file = file("allow = [\"192.0.2.0/24\", \"office.example.org\"]\n");
    let mut overrides = Overrides::default();
    overrides.allow(entry("198.51.100.7")).unwrap();
    overrides.allow(entry("office.example.org")).unwrap();
    let hosts = |overrides: &Overrides| -> Vec<String> {
        overrides.over(&file).allow.iter().map(ToString::to_string).collect()
    };
    assert_eq!(hosts(&overrides), ["192.0.2.0/24", "office.example.org", "198.51.100.7/32"]);
    let gone = overrides.disallow(&"198.51.100.7".parse().unwrap());
    assert_eq!(gone, Some(entry("198.51.100.7")));
    assert_eq!(hosts(&overrides), ["192.0.2.0/24", "office.example.org"]);
    assert_eq!(overrides.disallow(&"198.51.100.7".parse().unwrap()), None);
}

#[test]
fn what_was_stored_comes_back_under_what_was_set_since() {
    let value =
        |key: &str, value: Value| Override { key: key.to_owned(), value, since: Timestamp::EPOCH };
    let saved = Saved {
        allow: vec![entry("192.0.2.7"), entry("192.0.2.8")],
        overrides: vec![
            value("policy.max_failures", 3.into()),
            value("policy.window", "soon".into()),
            value("policy.colour", 3.into()),
            value("policy.rules.users.mode", "off".into()),
        ],
        ..Saved::default()
    };
    let overrides = Overrides::stored(&saved);
    assert_eq!(overrides.policy(PolicyKey::MaxFailures).value(), Some(&3.into()));
    assert_eq!(overrides.policy(PolicyKey::WindowSeconds).value(), None);
    assert_eq!(overrides.over(&file("")).policy.rules.users.guard.mode, Mode::Off);
    assert_eq!(overrides.allowed(), saved.allow);

    let mut later = Overrides::default();
    later.edit(&set(PolicyKey::MaxFailures, 9, true));
    later.allow(AllowEntry { comment: Some("since".to_owned()), ..entry("192.0.2.7") }).unwrap();
    later.take_over(&saved);
    assert_eq!(later.policy(PolicyKey::MaxFailures).value(), Some(&9.into()));
    assert_eq!(later.allowed().len(), 2);
}

#[test]
fn every_value_of_a_rule_can_be_set_over_the_file() {
    let file = file("[policy.rules.users]\nthreshold = 9\n");
    let mut overrides = Overrides::default();
    let key = |rule, setting| PolicyKey::Rule(rule, setting);
    for (key, value) in [
        (key(RuleName::Users, RuleSetting::Mode), Value::from("shadow")),
        (key(RuleName::Users, RuleSetting::MinGrade), "unchallenged".into()),
        (key(RuleName::Users, RuleSetting::Threshold), 3.into()),
        (key(RuleName::Users, RuleSetting::WindowSeconds), 60.into()),
        (key(RuleName::Users, RuleSetting::BanTimeSeconds), 120.into()),
        (key(RuleName::Failures, RuleSetting::Mode), "off".into()),
        (key(RuleName::UserAgents, RuleSetting::Patterns), vec!["pytest"].into()),
    ] {
        let edit = set(key, value, true);
        overrides.edit(&edit);
        assert_eq!(overrides.check(&edit, &file), Ok(()), "{key}");
    }
    let rules = overrides.over(&file).policy.rules;
    assert_eq!((rules.users.guard.mode, rules.failures.mode), (Mode::Shadow, Mode::Off));
    assert_eq!((rules.users.guard.min_grade, rules.users.threshold), (Grade::Unchallenged, 3));
    assert_eq!(rules.users.window, Duration::from_secs(60));
    assert_eq!(rules.users.ban_time, Duration::from_secs(120));
    assert_eq!(rules.user_agents.patterns, ["pytest"]);
    let told = told(&Overrides::default(), &overrides);
    assert!(told.contains(&"policy.rules.users.window = 60".to_owned()), "{told:?}");
    overrides.edit(&PolicyEdit::Reset(key(RuleName::Users, RuleSetting::Threshold)));
    assert_eq!(overrides.over(&file).policy.rules.users.threshold, 9);
}

#[test]
fn a_value_of_a_rule_that_cannot_be_is_refused() {
    let refused = |rule, setting, value: Value| {
        let mut overrides = Overrides::default();
        let edit = set(PolicyKey::Rule(rule, setting), value, true);
        overrides.edit(&edit);
        overrides.check(&edit, &file("")).unwrap_err().detail
    };
    for (rule, setting, value, why) in [
        (RuleName::Users, RuleSetting::Mode, Value::from("maybe"), "ban, shadow or off"),
        (RuleName::Users, RuleSetting::Mode, 1.into(), "ban, shadow or off"),
        (RuleName::Users, RuleSetting::Mode, "slow".into(), "out of range"),
        (RuleName::Scan, RuleSetting::Mode, "fast".into(), "ban, slow, shadow or off"),
        (RuleName::Scan, RuleSetting::Threshold, 299.into(), "out of range"),
        (RuleName::Log, RuleSetting::Threshold, 65.into(), "out of range"),
        (RuleName::Log, RuleSetting::Threshold, (-1).into(), "not a whole number"),
        (RuleName::Log, RuleSetting::WindowSeconds, "1h".into(), "not a whole number of seconds"),
        (RuleName::UserAgents, RuleSetting::Patterns, vec!["ab"].into(), "at least 3 bytes"),
        (RuleName::UserAgents, RuleSetting::Patterns, vec!["x".repeat(63)].into(), "62 bytes"),
        (RuleName::UserAgents, RuleSetting::Patterns, vec![1].into(), "not a list of texts"),
        (RuleName::UserAgents, RuleSetting::Patterns, vec!["abc"; 257].into(), "out of range"),
    ] {
        let detail = refused(rule, setting, value);
        assert!(detail.contains(why), "{detail}");
    }
}

#[test]
fn a_first_ban_and_a_longest_one_are_set_together_in_any_order() {
    let values = vec![
        (PolicyKey::BanTimeSeconds, 2_592_000.into()),
        (PolicyKey::EscalationMaxSeconds, 3_024_000.into()),
        (PolicyKey::EscalationFactor, 1.5.into()),
    ];
    let edit = PolicyEdit::Set { values, stored: true };
    let mut overrides = Overrides::default();
    overrides.edit(&edit);
    assert_eq!(overrides.check(&edit, &file("")), Ok(()));
    let policy = overrides.over(&file("")).policy;
    assert_eq!(policy.ban_time, Duration::from_secs(2_592_000));
    assert_eq!(policy.escalation.max, Duration::from_secs(3_024_000));
    assert!((policy.escalation.factor - 1.5).abs() < 0.01);
}

#[test]
fn an_entry_leaves_the_allow_list_at_its_end() {
    let mut overrides = Overrides::default();
    let ends = |host: &str, until: u64| AllowEntry {
        until: Some(Timestamp::from_micros(until)),
        ..entry(host)
    };
    overrides.allow(entry("192.0.2.7")).unwrap();
    overrides.allow(ends("192.0.2.8", 1)).unwrap();
    overrides.allow(ends("192.0.2.9", u64::MAX)).unwrap();
    let allowed = |overrides: &Overrides| {
        let hosts = overrides.over(&file("")).allow;
        hosts.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(allowed(&overrides), ["192.0.2.7/32", "192.0.2.9/32"]);
    let gone = overrides.expire(Timestamp::from_micros(2));
    assert_eq!(gone, [ends("192.0.2.8", 1)]);
    assert_eq!(overrides.allowed().len(), 2);
}
