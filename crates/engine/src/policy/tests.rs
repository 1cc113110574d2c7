use super::*;

#[test]
fn the_default_is_valid() {
    assert_eq!(Policy::default().validate(), Ok(()));
}

#[test]
fn an_error_names_key_value_and_range() {
    let policy = Policy { max_failures: 0, ..Policy::default() };
    let error = policy.validate().unwrap_err();
    assert_eq!(error.key, "max_failures");
    assert_eq!(error.to_string(), "max_failures = 0 is out of range: 1 to 1000");
}

#[test]
fn every_setting_has_a_range() {
    type Spoil = fn(&mut Policy);
    let broken: [(&str, Spoil); 14] = [
        ("max_failures", |p| p.max_failures = 1_001),
        ("window", |p| p.window = Duration::from_millis(999)),
        ("ban_time", |p| p.ban_time = Duration::ZERO),
        ("escalation.factor", |p| p.escalation.factor = f64::NAN),
        ("escalation.max", |p| {
            p.escalation.max = Duration::from_secs(60);
        }),
        ("escalation.forget_after", |p| {
            p.escalation.forget_after = Duration::MAX;
        }),
        ("weights.answered", |p| p.weights.answered = 0.0),
        ("weights.unchallenged", |p| p.weights.unchallenged = 0.01),
        ("weights.unproven", |p| p.weights.unproven = -1.0),
        ("weights.unjoined", |p| p.weights.unjoined = f64::INFINITY),
        ("ipv4_prefix", |p| p.ipv4_prefix = 8),
        ("ipv6_prefix", |p| p.ipv6_prefix = 32),
        ("max_tracked", |p| p.max_tracked = 0),
        ("max_bans", |p| p.max_bans = 0),
    ];
    for (key, spoil) in broken {
        let mut policy = Policy::default();
        spoil(&mut policy);
        assert_eq!(policy.validate().map_err(|error| error.key), Err(key));
    }
}

#[test]
fn every_rule_has_the_mode_of_its_settings() {
    let mut policy = Policy::default();
    policy.rules.slow.guard.mode = Mode::Off;
    for (rule, mode) in [
        (RuleName::Failures, Mode::Ban),
        (RuleName::Slow, Mode::Off),
        (RuleName::Log, Mode::Shadow),
        (RuleName::Attention, Mode::Ban),
        (RuleName::Deafness, policy.deafness.mode),
    ] {
        assert_eq!(policy.mode(rule), mode, "{rule:?}");
    }
}

#[test]
fn a_rule_is_named_alike_everywhere() {
    for rule in RuleName::ALL {
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.as_str());
    }
    for grade in crate::Grade::ALL {
        assert_eq!(serde_json::to_value(grade).unwrap(), grade.as_str());
    }
}
