//! Values as text for people.

use std::fmt::{self, Display};

use ipnet::IpNet;
use maud::{Escaper, Markup, Render, html};
use serde::Serialize;
use sipward_engine::{Exemption, Grade, Identity, RuleName, Timestamp};

use super::language::{self, t, text, tn};
use sipward_config::Mode;
use sipward_model::text::{Plain, Time, api_name};
use sipward_model::wire::{
    BanOrigin, BanScope, BanState, By, Cause, Evidence, Healthy, HealthyHost, HealthyReason,
    Refusal, RemoteCause,
};

/// Text from the network. Control characters and characters that change the text direction are escaped, and the
/// direction of the text does not affect what follows.
pub(super) fn plain(text: &str) -> Markup {
    html! { bdi { (Shown(Plain(text))) } }
}

/// Text of the lower layers, with what stands between backticks as code.
pub(super) fn commands(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) || language::known(text).is_some() {
        return english(text);
    }
    html! {
        @for (place, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
            @if place.is_multiple_of(2) { (english(part)) } @else { code { (Shown(Plain(part))) } }
        }
    }
}

/// A text of the lower layers. They speak English: what is not known here is marked as that.
pub(super) fn english(text: &str) -> Markup {
    html! {
        @if let Some(translated) = language::known(text) { (translated) }
        @else { bdi lang=[language::english()] { (Shown(Plain(text))) } }
    }
}

/// Anything that can be displayed, escaped.
pub(super) struct Shown<T>(pub(super) T);

impl<T: Display> Render for Shown<T> {
    fn render_to(&self, buffer: &mut String) {
        // Writing into a string cannot fail.
        let _ = fmt::Write::write_fmt(&mut Escaper::new(buffer), format_args!("{}", self.0));
    }
}

/// A time, as its age.
pub(super) fn ago(time: Time, now: Timestamp) -> Markup {
    let words = match now.since(time.0).as_secs() {
        0..=4 => t("just now").to_owned(),
        seconds => text!("{span} ago", span = span(seconds)),
    };
    html! { time datetime=(Shown(time)) title=(clock(time)) { (words) } }
}

/// A time as it is. The script shows it as local time.
pub(super) fn at(time: Time) -> Markup {
    html! { time.at datetime=(Shown(time)) { (clock(time)) } }
}

/// `2026-11-23 22:00:00 UTC`.
fn clock(time: Time) -> String {
    let text = time.to_string();
    let seconds = text.split('.').next().unwrap_or(&text);
    format!("{} UTC", seconds.replace('T', " "))
}

/// Seconds in words, no finer than matters: `45 s`, `12 min`, `1 h 5 min`, `3 d 4 h`.
pub(super) fn span(seconds: u64) -> String {
    let pair = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 => pair(seconds / 60, "min", seconds % 60, "s"),
        600..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => pair(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// As [`span`], of fractions.
pub(super) fn span_of(seconds: f64) -> String {
    span(std::time::Duration::try_from_secs_f64(seconds.ceil()).unwrap_or_default().as_secs())
}

/// `12,345`.
pub(super) fn number(number: u64) -> String {
    language::number(number)
}

/// `1 ban`, `2 bans`.
pub(super) fn count(number: u64, what: &'static str) -> String {
    format!("{} {}", self::number(number), language::noun(number, what))
}

/// A network as a link to its source; a single address without its prefix.
pub(super) fn net(net: IpNet) -> Markup {
    html! { a.net href={ "/sources/" (Shown(net.addr())) } { (bare_net(net)) } }
}

/// A network; a single address without its prefix.
pub(super) fn bare_net(net: IpNet) -> Markup {
    if net.prefix_len() == net.max_prefix_len() {
        html! { (Shown(net.addr())) }
    } else {
        html! { (Shown(net)) }
    }
}

/// The API's name of a value, with spaces.
pub(super) fn word(value: &impl Serialize) -> String {
    api_name(value).replace('_', " ")
}

/// A value of a log line or of the policy.
pub(super) fn json(value: &serde_json::Value) -> Markup {
    match value {
        serde_json::Value::String(text) => plain(text),
        serde_json::Value::Array(items) if items.iter().all(serde_json::Value::is_string) => {
            html! {
                @for (place, item) in items.iter().enumerate() {
                    @if place > 0 { ", " }
                    (json(item))
                }
            }
        }
        other => plain(&other.to_string()),
    }
}

/// Whether the kernel applies a ban. In observe mode it is not expected to.
pub(super) fn state(state: BanState, mode: Mode) -> Markup {
    let (class, words) = match (state, mode) {
        (BanState::Enforced, _) => ("good", t("enforced")),
        (BanState::Pending, _) => ("", t("pending")),
        (BanState::Ineffective, Mode::Observe) => ("", t("observed")),
        (BanState::Ineffective, Mode::Ban) => ("bad", t("ineffective")),
        (BanState::Failed, _) => ("bad", t("failed")),
    };
    html! { span class={ "pill " (class) } { (words) } }
}

/// The state of a ban in a list of choices.
pub(super) fn state_word(state: BanState) -> &'static str {
    match state {
        BanState::Enforced => t("enforced"),
        BanState::Pending => t("pending"),
        BanState::Ineffective => t("ineffective"),
        BanState::Failed => t("failed"),
    }
}

/// What a ban blocks.
pub(super) fn scope(scope: BanScope) -> &'static str {
    match scope {
        BanScope::Host => t("everything"),
        BanScope::Sip => t("SIP ports only"),
    }
}

/// What decided a ban.
pub(super) fn origin(origin: BanOrigin) -> &'static str {
    match origin {
        BanOrigin::Remote => t("by another node"),
        BanOrigin::Automatic => t("by a rule"),
        BanOrigin::Manual => t("by hand"),
        BanOrigin::Forced => t("by hand, forced"),
    }
}

/// The reason of a ban, in short.
pub(super) fn cause(cause: &Cause) -> Markup {
    html! {
        @match (&cause.by, &cause.evidence) {
            (By::Rule, Some(evidence)) => (rule_of(evidence)),
            (By::Rule, None) => (t("by a rule")),
            (By::Manual, _) => (t("by hand")),
            (By::Adopted, _) => (t("route found at start")),
            (By::Remote, _) => {
                @if let Some(said) = &cause.remote { (remote(said)) }
            }
        }
        @if let Some(comment) = &cause.comment { ": " (plain(comment)) }
        @if let Some(net) = cause.split_of { span.soft { " (" (t!("part of {net}", net = Shown(net))) ")" } }
    }
}

/// What requested a ban that was refused.
pub(super) fn requested(cause: &Cause) -> Markup {
    html! {
        @match cause.by {
            By::Manual => {
                (t("requested manually"))
                @if let Some(comment) = &cause.comment { ": " (plain(comment)) }
            }
            By::Rule | By::Adopted | By::Remote => (t!("requested by {cause}", cause = self::cause(cause))),
        }
    }
}

fn remote(said: &RemoteCause) -> Markup {
    html! {
        (t!("by node {node}", node = Shown(said.peer)))
        @match said.rule {
            Some(rule) => {
                ": " (self::rule(rule)) " "
                span.soft { "× " (number(u64::from(said.failures))) }
            }
            None => @if said.by_hand { ": " (t("by hand")) },
        }
        @if !said.why.is_empty() { ", " (plain(&said.why)) }
    }
}

fn rule_of(evidence: &Evidence) -> Markup {
    let Evidence { rule, failures, users, user_agent, report, .. } = evidence;
    html! {
        (self::rule(*rule)) " " span.soft { "× " (number(u64::from(*failures))) }
        @match users.as_slice() {
            [] => {},
            [user] => span.soft { ", " (t!("user {user}", user = plain(user))) },
            users => span.soft { ", " (count(users.len() as u64, "user")) },
        }
        @if let Some(agent) = user_agent.as_ref().filter(|agent| !agent.is_empty()) {
            span.soft { ", " (plain(agent)) }
        }
        @if let Some(report) = report { span.soft { ", " (plain(report)) } }
    }
}

/// What a rule detects.
pub(super) fn rule(rule: RuleName) -> &'static str {
    match rule {
        RuleName::Failures => t("failures"),
        RuleName::Users => t("many users"),
        RuleName::UserAgents => t("user agent of a scanner"),
        RuleName::Report => t("reported by the dialplan"),
        RuleName::Flood => t("flood"),
        RuleName::Slow => t("slow guessing"),
        RuleName::Challenges => t("unanswered challenges"),
        RuleName::Calls => t("abandoned calls"),
        RuleName::RawAddress => t("users at a raw address"),
        RuleName::Account => t("attack on one account"),
        RuleName::Network => t("attack from one network"),
        RuleName::Log => t("log lines"),
        RuleName::Login => t("failed log-ins to the console"),
        RuleName::Attention => t("phone with an old password"),
        RuleName::Insider => t("guessing for other users"),
        RuleName::Deafness => t("FreeSWITCH deaf"),
        RuleName::Scan => t("many packets from a stranger"),
    }
}

/// What a rule does, in a sentence.
pub(super) fn rule_explained(rule: RuleName) -> &'static str {
    match rule {
        RuleName::Failures => t("Too many failed log-ins from one source within the window."),
        RuleName::Users => t("One source tries the passwords of many different users."),
        RuleName::UserAgents => {
            t("The user agent names a known scanner; the first failure is enough.")
        }
        RuleName::Report => t("Your dialplan reported the source with a sipward::report event."),
        RuleName::Flood => {
            t("So many events in a second that FreeSWITCH could stop answering phones.")
        }
        RuleName::Slow => {
            t("Failures spread over a day, too slow for the window of the first rule.")
        }
        RuleName::Challenges => t("Many challenges that the source never answers."),
        RuleName::Calls => t("Failed or abandoned calls from a source that does not log in."),
        RuleName::RawAddress => t("Failures that name an IP address in place of your SIP domain."),
        RuleName::Account => t(
            "One user is attacked from many sources; strangers that fail for it are banned early.",
        ),
        RuleName::Network => {
            t("Failures from several strangers in one /24 (IPv6: /48); the network is banned.")
        }
        RuleName::Log => t("Lines of FreeSWITCH's log that no event reports."),
        RuleName::Login => t("Failed log-ins to this console and the API."),
        RuleName::Attention => t("A phone with an old password keeps failing."),
        RuleName::Insider => {
            t("A host with a logged-in user guesses the passwords of other users.")
        }
        RuleName::Deafness => t("FreeSWITCH no longer answers its own profiles."),
        RuleName::Scan => {
            t("Many packets from a stranger to the SIP ports, with or without log-ins.")
        }
    }
}

/// How well the source address of a failure is proved.
pub(super) fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Genuine => t("genuine: in the dialog of the user's registration"),
        Grade::Answered => t("answered: the client received the challenge of this dialog"),
        Grade::Assumed => t("assumed: this FreeSWITCH version sends no attempts"),
        Grade::Challenged => t("challenged: the address received a challenge in another dialog"),
        Grade::Unchallenged => t("unchallenged: another address fetched the nonce"),
        Grade::Unproven => t("unproven: forgeable"),
        Grade::Unjoined => t("unjoined: no matching attempt"),
    }
}

/// The log-in history of a source.
pub(super) fn identity(identity: Identity) -> &'static str {
    match identity {
        Identity::Stranger => t("stranger: no log-in from there lately"),
        Identity::Caller => t("caller: the dialplan accepted a call from there"),
        Identity::Known => t("known: logged in from there lately"),
        Identity::Trusted => t("trusted: log-ins from there over a long time"),
        Identity::Shared => t("shared: several users log in from there (a proxy or a NAT)"),
    }
}

/// Why no rule bans a source.
pub(super) fn exemption(class: Exemption) -> &'static str {
    match class {
        Exemption::Own => t("this host itself"),
        Exemption::Gateway => t("a gateway of this host"),
        Exemption::EslPeer => t("the FreeSWITCH end of the Event Socket"),
        Exemption::NameServer => t("a name server of this host"),
        Exemption::Trunk => t("a trunk of FreeSWITCH"),
        Exemption::Proxy => t("one of the proxies"),
        Exemption::Acl => t("allowed by an access control list of FreeSWITCH"),
        Exemption::Allow => t("on the allow list"),
    }
}

/// A line for each reason why hosts in a network are no strangers.
pub(super) fn healthy(healthy: &Healthy) -> Vec<Markup> {
    let net = Shown(healthy.net);
    let line = |host: &HealthyHost| match (host.reason, host.registrations) {
        (HealthyReason::Registered, users) => tn!(
            users.into(),
            "{net}: {n} user is registered there now",
            "{net}: {n} users are registered there now",
            net = net,
        ),
        (HealthyReason::Known, _) => t!("{net}: a user logged in from there lately", net = net),
        (HealthyReason::Exempt(class), _) => t!(
            "{net}: no rule bans it, or a part of it: {class}",
            net = net,
            class = exemption(class),
        ),
    };
    healthy.hosts.iter().map(line).collect()
}

/// Why a ban was refused.
pub(super) fn refusal(refusal: &Refusal) -> Markup {
    let words = match refusal.reason.as_str() {
        "exempt" => t("it would cover an exempt host"),
        "known" => t("a user logged in from there lately"),
        "shared" => t("a proxy or a NAT: several users log in from there"),
        "link_local" => t("it would block IPv6 neighbour discovery"),
        "covered" => t("another ban already covers it"),
        "too_many_bans" => t("the table of bans is full"),
        "share_used_up" => t("bans of this kind have used up their share of the table"),
        "banned_lately" => t("a known source, banned within the last hour"),
        "registered" => t("a phone is registered there"),
        "denied_lately" => t("flows of it were denied within the last hour"),
        "spared" => t("it would cover the address you browse from"),
        "too_wide" => t("the network is too wide"),
        other => return english(other),
    };
    html! {
        (words)
        @if let Some(class) = refusal.class { " (" (exemption(class)) ")" }
        @if let Some(net) = refusal.prevented_by { ": " (Shown(net)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_attacker_calls_himself_is_text_and_nothing_else() {
        let said = plain("\u{1b}[2J<b onmouseover=\"x\">\u{202e}&").into_string();
        assert_eq!(said, "<bdi>\\u{1b}[2J&lt;b onmouseover=&quot;x&quot;&gt;\\u{202e}&amp;</bdi>");
    }

    #[test]
    fn spans_are_no_finer_than_matters() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (65, "1 min 5 s"),
            (120, "2 min"),
            (3_599, "59 min"),
            (3_900, "1 h 5 min"),
            (86_400, "1 d"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(span(seconds), words);
        }
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        assert_eq!(
            [0, 999, 1_000, 50_000, 1_234_567].map(number),
            ["0", "999", "1,000", "50,000", "1,234,567"]
        );
    }
}
