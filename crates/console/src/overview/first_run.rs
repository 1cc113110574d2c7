//! The first steps of a new installation, until all are taken or the list is hidden.

use maud::{Markup, html};

use super::super::frame::Frame;
use super::super::labels;
use super::super::language::t;
use sipward_daemon::control::{FirstStep, StepTaken};

/// The list; nothing when there is nothing left to do, or this browser hides it.
pub(super) fn list(frame: &Frame, steps: &[StepTaken]) -> Markup {
    let left = steps.iter().filter(|step| !step.done).count();
    if left == 0 || frame.viewer.hides_steps {
        return html! {};
    }
    html! {
        section.card.steps aria-labelledby="steps-title" {
            div.head {
                h2 #steps-title { (t("First steps")) }
                p.soft { (t!("{left} of {all} left", left = left, all = steps.len())) }
                form.actions method="post" action="/first-steps/hide" {
                    button.quiet type="submit" { (t("Hide")) }
                }
            }
            ol { @for step in steps { (line(step)) } }
            p.soft { (t!("{doctor} checks everything else.", doctor = html! { a href="/doctor" { (t("Doctor")) } })) }
        }
    }
}

fn line(step: &StepTaken) -> Markup {
    let (title, advice, place) = words(step.step);
    html! {
        li {
            @if step.done { span.pill.good { (t("done")) } } @else { span.pill.warn { (t("to do")) } }
            " " strong { a href=(place) { (title) } } " "
            span.soft { (labels::commands(&step.found)) }
            @if !step.done { p { (advice) } }
        }
    }
}

/// What a step is called, what to do, and where.
fn words(step: FirstStep) -> (&'static str, &'static str, &'static str) {
    match step {
        FirstStep::Connected => (
            t("FreeSWITCH is connected"),
            t("Check the password and the address of the Event Socket (ESL_PASSWORD, ESL_HOST)."),
            "/doctor",
        ),
        FirstStep::Phones => (
            t("The phones are known"),
            t(
                "Registered phones are never banned by mistake. Without the list sipward learns them as they register.",
            ),
            "/doctor",
        ),
        FirstStep::Allowed => (
            t("Your own networks are allowed"),
            t(
                "Add the network of your office, and the address from which you administer this host.",
            ),
            "/allow",
        ),
        FirstStep::Notified => (
            t("Notifications are set up"),
            t("Set mail or a webhook in the configuration file, restart, and send a test."),
            "/notifications",
        ),
        FirstStep::Blocking => (
            t("Attackers are blocked"),
            t("Watch for some days who would be blocked. Then start to block."),
            "/mode",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::context::ViewContext;
    use super::*;
    use sipward_engine::Timestamp;

    fn said(done: &[bool], hides_steps: bool) -> String {
        let all = [
            FirstStep::Connected,
            FirstStep::Phones,
            FirstStep::Allowed,
            FirstStep::Notified,
            FirstStep::Blocking,
        ];
        let steps = all.into_iter().zip(done);
        let steps: Vec<StepTaken> = steps
            .map(|(step, done)| StepTaken { step, done: *done, found: "<b>".to_owned() })
            .collect();
        let viewer = ViewContext { hides_steps, ..ViewContext::named("noc", true) };
        let status = super::super::super::frame::tests::status();
        list(&Frame { viewer, status, now: Timestamp::EPOCH, in_fleet: false }, &steps)
            .into_string()
    }

    #[test]
    fn the_list_says_what_is_left_and_goes_when_nothing_is() {
        let page = said(&[true, true, false, false, false], false);
        assert!(page.contains("3 of 5 left"), "{page}");
        assert_eq!(page.matches(">to do<").count(), 3, "{page}");
        assert!(page.contains("Add the network of your office") && !page.contains("ESL_PASSWORD"));
        assert!(!page.contains("<b>"), "{page}");
        assert_eq!(said(&[true; 5], false), "");
        assert_eq!(said(&[false; 5], true), "", "hidden");
        assert_eq!(said(&[], false), "");
    }
}
