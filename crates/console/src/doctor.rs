//! Whether everything works that a ban depends on: the checks of `sipward doctor`.

use axum::extract::State;
use maud::{Markup, html};

use super::error_page::ErrorPage;
use super::frame::Frame;
use super::labels;
use super::language::{en, t, tn};
use sipward_daemon::control::Control;
use sipward_model::wire::{Check, CheckState, DoctorQuery, Examination};

pub(super) async fn show(
    State(control): State<Control>,
    frame: Frame,
) -> Result<Markup, ErrorPage> {
    let found = control.doctor(DoctorQuery::default()).await?;
    Ok(page(&frame, &found))
}

fn page(frame: &Frame, found: &Examination) -> Markup {
    let of = |state| found.checks.iter().filter(move |check| check.state == state);
    let troubled: Vec<&Check> = of(CheckState::Fail).chain(of(CheckState::Warn)).collect();
    let fine: Vec<&Check> = of(CheckState::Ok).collect();
    let body = html! {
        div.head {
            h1 { (t("Doctor")) }
            p.soft { (t("Everything that a ban depends on, as the daemon finds it now.")) }
            p.actions { a.button.quiet href="/doctor" { (t("Check again")) } }
        }
        section.card aria-labelledby="troubled-title" {
            h2 #troubled-title { (headline(found)) }
            @if troubled.is_empty() { p.empty { (t("Nothing needs a look.")) } }
            @else { (rows(t("Checks that need a look"), &troubled)) }
        }
        section.card aria-labelledby="fine-title" {
            h2 #fine-title { (t("As it should be")) }
            (rows(t("Checks that passed"), &fine))
        }
        p.soft {
            (t!(
                "On the host, {command} as root makes the same checks, waits for a heartbeat of FreeSWITCH, and sees \
                 other programs.",
                command = html! { code { "sipward doctor" } },
            ))
        }
    };
    frame.page("/doctor", t("Doctor"), None, &body)
}

fn headline(found: &Examination) -> Markup {
    let count = |state| found.checks.iter().filter(|check| check.state == state).count() as u64;
    let (failed, warned) = (count(CheckState::Fail), count(CheckState::Warn));
    html! {
        @if failed > 0 { span.pill.bad { (tn!(failed, "{n} check failed", "{n} checks failed")) } " " }
        @if warned > 0 { span.pill.warn { (labels::count(warned, "warning")) } " " }
        @if failed + warned == 0 { span.pill.good { (t("all checks passed")) } }
        @else { (t("Needs a look")) }
    }
}

fn rows(caption: &str, checks: &[&Check]) -> Markup {
    html! {
        table.rows.wide.checks {
            caption.hidden { (caption) }
            thead { tr {
                th scope="col" { (t("Check")) } th scope="col" { (t("State")) }
                th scope="col" { (t("Finding")) }
            } }
            tbody { @for check in checks { (row(check)) } }
        }
    }
}

/// What is checked, for translation: the rows come from elsewhere.
const NAMES: [&str; 31] = [
    en("configuration"),
    en("credentials"),
    en("daemon"),
    en("event socket"),
    en("events"),
    en("heartbeat"),
    en("clock"),
    en("permissions"),
    en("gateways"),
    en("access lists"),
    en("sip ports"),
    en("capability"),
    en("gate"),
    en("bans"),
    en("sip bans"),
    en("flows"),
    en("banned hosts"),
    en("clashes"),
    en("others that ban"),
    en("database"),
    en("disk space"),
    en("page"),
    en("mode"),
    en("registrations"),
    en("allow list"),
    en("shield"),
    en("fleet"),
    en("storage"),
    en("countries"),
    en("notifications"),
    en("restart"),
];

fn name(check: &str) -> Markup {
    let known = NAMES.into_iter().find(|name| *name == check);
    known.map_or_else(|| labels::english(check), |name| html! { (t(name)) })
}

fn row(check: &Check) -> Markup {
    let (class, word) = match check.state {
        CheckState::Ok => ("good", t("ok")),
        CheckState::Warn => ("warn", t("look")),
        CheckState::Fail => ("bad", t("failed")),
    };
    html! {
        tr {
            th scope="row" { (name(&check.check)) }
            td data-label=(t("State")) { span class={ "pill " (class) } { (word) } }
            td data-label=(t("Finding")) {
                // Errors of the configuration show the line that they are about.
                @for line in check.found.lines() { p { (labels::commands(line)) } }
                @if let Some(advice) = &check.advice { p.advice { "→ " (labels::commands(advice)) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::context::ViewContext;
    use super::*;
    use sipward_engine::Timestamp;

    fn said(checks: Vec<Check>) -> String {
        let viewer = ViewContext::named("noc", false);
        let status = super::super::frame::tests::status();
        let frame = Frame { viewer, status, now: Timestamp::EPOCH, in_fleet: false };
        page(&frame, &Examination::of(checks)).into_string()
    }

    #[test]
    fn failures_come_first_with_what_to_do_and_hostile_text_stays_text() {
        let page = said(vec![
            Check::ok("clock", "0.02 s behind"),
            Check::warn("gate", "not set", "`restart` <it>"),
            Check::fail("events", "<script>\u{1b}[2J", "allow them"),
        ]);
        let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
        assert!(place(">events<") < place(">gate<") && place(">gate<") < place(">clock<"));
        assert!(page.contains("1 check failed") && page.contains("1 warning"), "{page}");
        assert!(page.contains("<code>restart</code><bdi> &lt;it&gt;</bdi>"), "{page}");
        assert!(!page.contains("<script>\u{1b}") && !page.contains('\u{1b}'), "{page}");
    }

    #[test]
    fn when_all_is_well_it_says_so() {
        let page = said(vec![Check::ok("clock", "0.02 s behind")]);
        assert!(page.contains("all checks passed") && page.contains("Nothing needs a look"));
    }
}
