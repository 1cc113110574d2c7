//! The flood state of FreeSWITCH, in short.

use maud::{Markup, html};

use super::language::t;
use sipward_model::wire::{Flood, FloodState};

/// The state in the strip at the top of each page; empty while it is quiet.
pub(super) fn pill(flood: &Flood) -> Markup {
    let (class, word) = state(flood.state);
    html! {
        @if flood.state != FloodState::Quiet {
            li { a class={ "pill " (class) } href="/#facts" { (word) } }
        }
    }
}

/// The colour class and the text of a state.
pub(super) fn state(state: FloodState) -> (&'static str, &'static str) {
    match state {
        FloodState::Quiet => ("good", t("none")),
        FloodState::Shielded => ("warn", t("shielded")),
        FloodState::Deaf => ("bad", t("FreeSWITCH deaf")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flood(state: FloodState) -> Flood {
        let (profiles, strangers) = (Vec::new(), Vec::new());
        Flood {
            state,
            since: None,
            summary: "no packets dropped; 0 phones registered".to_owned(),
            passed_per_second: 0,
            dropped_per_second: 0,
            dropped_today: 0,
            phones: 0,
            answer_seconds: None,
            profiles,
            strangers,
        }
    }

    #[test]
    fn the_strip_says_only_what_is_not_quiet() {
        let said = |state| pill(&flood(state)).into_string();
        assert_eq!(said(FloodState::Quiet), "");
        assert!(said(FloodState::Shielded).contains("pill warn"));
        let deaf = said(FloodState::Deaf);
        assert!(deaf.contains("pill bad") && deaf.contains("FreeSWITCH deaf"), "{deaf}");
    }
}
