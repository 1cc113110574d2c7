//! Pages and values in another language.

use axum::http::StatusCode;
use maud::html;
use sipward_engine::{Exemption, Grade, Identity, RuleName, Timestamp};

use super::context::ViewContext;
use super::frame::{Frame, tests::status};
use super::language::tests::{german, missing};
use super::{error_page, labels, login};
use sipward_model::wire::{Problem, ProblemKind};
use sipward_server::http::LoginView;
use sipward_server::http::error::ApiError;

const KINDS: [ProblemKind; 17] = [
    ProblemKind::Unreadable,
    ProblemKind::Unauthorized,
    ProblemKind::Forbidden,
    ProblemKind::NotFound,
    ProblemKind::MethodNotAllowed,
    ProblemKind::TooSlow,
    ProblemKind::Refused,
    ProblemKind::Configuration,
    ProblemKind::TooLarge,
    ProblemKind::UriTooLong,
    ProblemKind::UnsupportedMediaType,
    ProblemKind::Misdirected,
    ProblemKind::TooMany,
    ProblemKind::Invalid,
    ProblemKind::BadGateway,
    ProblemKind::NoAnswer,
    ProblemKind::Unavailable,
];

fn problem(kind: ProblemKind) -> Problem {
    ApiError::new(kind, "the engine is busy").problem().clone()
}

#[test]
fn a_page_in_german_lacks_no_text_and_says_that_it_is_german() {
    let viewer = ViewContext::named("noc", false);
    let frame = Frame { viewer, status: status(), now: Timestamp::EPOCH, in_fleet: false };
    let missing = missing(|| {
        let page = german(|| frame.page("/bans", "x", Some("/bans"), &html! {})).into_string();
        assert!(page.contains("<html lang=\"de\""), "{page}");
        assert!(page.contains("nur lesen") && page.contains("&quot;pause&quot;:&quot;Anhalten"));
        let view = LoginView { next: "/", code: None, problem: Some("This token has expired.") };
        assert_eq!(german(|| login::login(StatusCode::OK, &view)).status(), StatusCode::OK);
    });
    assert_eq!(missing, [].into());
}

#[test]
fn every_problem_has_a_german_title_and_its_english_detail_is_marked() {
    let missing = missing(|| {
        for kind in KINDS {
            let page = german(|| error_page::card(&problem(kind))).into_string();
            assert!(page.contains("<bdi lang=\"en\">the engine is busy</bdi>"), "{page}");
        }
    });
    assert_eq!(missing, [].into());
    let known = problem(ProblemKind::Invalid);
    let known = Problem { detail: "This token was revoked.".to_owned(), ..known };
    assert!(
        german(|| error_page::card(&known))
            .into_string()
            .contains("<p>Dieses Token wurde widerrufen.</p>")
    );
    assert!(!error_page::card(&known).into_string().contains("lang"));
}

#[test]
fn every_value_has_a_german_name() {
    let missing = missing(|| {
        german(|| {
            for rule in RuleName::ALL {
                assert!(!labels::rule(rule).is_empty() && !labels::rule_explained(rule).is_empty());
            }
            for grade in Grade::ALL {
                assert!(labels::grade(grade).contains(": "));
            }
            assert!(labels::identity(Identity::Shared).starts_with("geteilt"));
            assert_eq!(labels::exemption(Exemption::Own), "dieser Host selbst");
            assert_eq!(labels::count(1_234, "ban"), "1.234 Sperren");
        });
    });
    assert_eq!(missing, [].into());
}
