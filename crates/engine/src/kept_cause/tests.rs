use super::*;
use crate::{Details, Text};

fn evidence(score: f64, window: Duration) -> Evidence {
    Evidence {
        rule: RuleName::Failures,
        address: "2001:db8::7".parse().unwrap(),
        identity: Identity::Known,
        failures: 7,
        score,
        max_failures: 5,
        window,
        grade: Grade::Answered,
        ban_count: 3,
        details: Some(Box::new(Details { users: vec![Text::new("1000")], ..Details::default() })),
    }
}

#[test]
fn what_has_aged_says_the_same_but_for_its_details() {
    // A score of thirds and a window longer than the numbers hold stay what they are.
    for (score, seconds) in
        [(5.0, 600.0), (4.2, 1.5), (0.001, 604_800.0), (1.0 / 3.0, 600.0), (5.0, 5e6)]
    {
        let whole = evidence(score, Duration::from_secs_f64(seconds));
        let mut kept = KeptCause::from(Arc::new(Cause::Rule(whole.clone())));
        assert!(kept.has_details());
        kept.age();
        assert!(!kept.has_details());
        let aged = Evidence { details: None, ..whole };
        assert_eq!(kept.evidence().as_deref(), Some(&aged));
        assert_eq!(*kept.get(), Cause::Rule(aged));
    }
}

#[test]
fn a_part_of_a_split_ban_ages_too() {
    let whole = evidence(5.0, Duration::from_secs(600));
    let split = Arc::new(Cause::Rule(whole.clone())).split("2001:db8::/64".parse().unwrap());
    let mut kept = KeptCause::from(split);
    kept.age();
    let aged = Evidence { details: None, ..whole };
    assert!(matches!(&*kept.get(), Cause::Split { was, .. } if **was == Cause::Rule(aged)));
}

#[test]
fn what_no_rule_decided_stays_what_it_is() {
    let manual = Arc::new(Cause::Manual { reason: "spam".to_owned(), force: false });
    let mut kept = KeptCause::from(Arc::clone(&manual));
    kept.age();
    assert_eq!(kept.get(), manual);
}
