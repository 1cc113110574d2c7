//! The table beside `docs/policy.md`, and its own rules.

use std::fmt::Write as _;

use super::*;

/// As `docs/policy.md` prints it.
fn printed() -> String {
    let mut page = String::from(
        "| rule | who | unjoined | unproven | unchallenged | challenged | assumed | answered | genuine |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for rule in RuleName::ALL {
        for standing in Standing::ALL {
            let effects = Grade::ALL.map(|grade| word(Effect::of(rule, standing, grade)));
            let name = serde_json::to_string(&rule).unwrap();
            let (name, who) = (name.trim_matches('"'), who(standing));
            let _ = writeln!(page, "| `{name}` | {who} | {} |", effects.join(" | "));
        }
    }
    page
}

fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Nothing => "–",
        Effect::Report => "reports",
        Effect::Slow => "slows",
        Effect::Flow => "denies its flow",
        Effect::Ban => "bans",
    }
}

fn who(standing: Standing) -> &'static str {
    match standing {
        Standing::Stranger => "stranger",
        Standing::Caller => "caller",
        Standing::Known => "known",
        Standing::Trusted => "trusted",
        Standing::Shared => "shared",
        Standing::Registered => "registered",
        Standing::OthersRegistered => "others registered",
    }
}

#[test]
fn the_page_prints_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- effects: begin -->\n", "<!-- effects: end -->");
    let from = page.find(begin).unwrap() + begin.len();
    let to = page.find(end).unwrap();
    if std::env::var_os("SIPWARD_RENEW").is_some() {
        let renewed = format!("{}{}{}", &page[..from], printed(), &page[to..]);
        std::fs::write(path, renewed).unwrap();
        return;
    }
    assert_eq!(
        &page[from..to],
        printed(),
        "renew docs/policy.md with `SIPWARD_RENEW=1 cargo test -p sipward-engine the_page_prints`"
    );
}

#[test]
fn every_rule_has_its_rows() {
    for rule in RuleName::ALL {
        assert_eq!(TABLE.get(rule as usize).map(|(of, _)| *of), Some(rule));
    }
}

/// No rule bans the host of anybody known, and what one packet can forge does nothing to it. What is left is a
/// flow, which is never that of a registration, and the limit of an insider.
#[test]
fn no_forger_takes_a_minute_from_a_registered_phone() {
    for rule in RuleName::ALL {
        for standing in Standing::ALL.into_iter().filter(|standing| !standing.is_strange()) {
            for grade in Grade::ALL {
                let effect = Effect::of(rule, standing, grade);
                assert_ne!(effect, Effect::Ban, "{rule:?} {standing:?} {grade:?}");
                let forgeable = grade < Grade::Answered;
                assert!(!forgeable || !effect.acts(), "{rule:?} {standing:?} {grade:?}");
                // Whose socket a forger can guess, because nobody is registered there now.
                let fixed = matches!(standing, Standing::Trusted | Standing::Shared);
                if rule == RuleName::Failures && fixed && grade == Grade::Answered {
                    assert!(!effect.acts(), "{rule:?} {standing:?} {grade:?}");
                }
            }
        }
    }
}

/// Rules act in one way against each standing, whatever the evidence.
#[test]
fn a_row_acts_in_one_way() {
    for rule in RuleName::ALL {
        for standing in Standing::ALL {
            let acting = Effect::acting(rule, standing);
            for effect in Grade::ALL.map(|grade| Effect::of(rule, standing, grade)) {
                assert!(!effect.acts() || effect == acting, "{rule:?} {standing:?}");
            }
        }
    }
}
