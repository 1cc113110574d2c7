//! Values as text for people.

use std::fmt::{self, Display};

use ipnet::IpNet;
use maud::{Escaper, Markup, Render, html};
use serde::Serialize;
use sipward_engine::{Exemption, Grade, Identity, RuleName, Timestamp};

use sipward_config::Mode;
use sipward_model::text::{Plain, Thousands, Time, plural};
use sipward_model::wire::{BanOrigin, BanScope, BanState, By, Cause, Evidence, RemoteCause};

/// Text from the network. Control characters and characters that change the text direction are escaped, and the
/// direction of the text does not affect what follows.
pub(super) fn plain(text: &str) -> Markup {
    html! { bdi { (Shown(Plain(text))) } }
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
        0..=4 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
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
    Thousands(number).to_string()
}

/// `1 ban`, `2 bans`.
pub(super) fn count(number: u64, what: &str) -> String {
    format!("{} {}", self::number(number), plural(number, what))
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
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// The API's name of a value.
pub(super) fn key(value: &impl Serialize) -> String {
    word(value).replace(' ', "_")
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
        (BanState::Enforced, _) => ("good", "enforced"),
        (BanState::Pending, _) => ("", "pending"),
        (BanState::Ineffective, Mode::Observe) => ("", "observed"),
        (BanState::Ineffective, Mode::Ban) => ("bad", "ineffective"),
        (BanState::Failed, _) => ("bad", "failed"),
    };
    html! { span class={ "pill " (class) } { (words) } }
}

/// What a ban blocks.
pub(super) fn scope(scope: BanScope) -> &'static str {
    match scope {
        BanScope::Host => "everything",
        BanScope::Sip => "SIP ports only",
    }
}

/// What decided a ban.
pub(super) fn origin(origin: BanOrigin) -> &'static str {
    match origin {
        BanOrigin::Remote => "by another node",
        BanOrigin::Automatic => "by a rule",
        BanOrigin::Manual => "by hand",
        BanOrigin::Forced => "by hand, forced",
    }
}

/// The reason of a ban, in short.
pub(super) fn cause(cause: &Cause) -> Markup {
    html! {
        @match (&cause.by, &cause.evidence) {
            (By::Rule, Some(evidence)) => (rule_of(evidence)),
            (By::Rule, None) => "by a rule",
            (By::Manual, _) => "by hand",
            (By::Adopted, _) => "route found at start",
            (By::Remote, _) => {
                @if let Some(said) = &cause.remote { (remote(said)) }
            }
        }
        @if let Some(comment) = &cause.comment { ": " (plain(comment)) }
        @if let Some(net) = cause.split_of { span.soft { " (part of " (Shown(net)) ")" } }
    }
}

/// What requested a ban that was refused.
pub(super) fn requested(cause: &Cause) -> Markup {
    html! {
        @match cause.by {
            By::Manual => {
                "requested manually"
                @if let Some(comment) = &cause.comment { ": " (plain(comment)) }
            }
            By::Rule | By::Adopted | By::Remote => { "requested by " (self::cause(cause)) }
        }
    }
}

fn remote(said: &RemoteCause) -> Markup {
    html! {
        "by node " (Shown(said.peer))
        @match said.rule {
            Some(rule) => {
                ": " (self::rule(rule)) " "
                span.soft { "× " (number(u64::from(said.failures))) }
            }
            None => @if said.by_hand { ": by hand" },
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
            [user] => span.soft { ", user " (plain(user)) },
            users => span.soft { ", " (users.len()) " users" },
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
        RuleName::Failures => "failures",
        RuleName::Users => "many users",
        RuleName::UserAgents => "scanner",
        RuleName::Report => "reported by the dialplan",
        RuleName::Flood => "flood",
        RuleName::Slow => "slow guessing",
        RuleName::Challenges => "unanswered challenges",
        RuleName::Calls => "abandoned calls",
        RuleName::RawAddress => "users at a raw address",
        RuleName::Account => "attack on one account",
        RuleName::Network => "attack from one network",
        RuleName::Log => "log lines",
        RuleName::Login => "failed log-ins to the console",
        RuleName::Attention => "phone with an old password",
        RuleName::Insider => "guessing for other users",
        RuleName::Deafness => "FreeSWITCH deaf",
        RuleName::Scan => "many packets from a stranger",
    }
}

/// What a rule does, in a sentence.
pub(super) fn rule_explained(rule: RuleName) -> &'static str {
    match rule {
        RuleName::Failures => "Too many failed log-ins from one source within the window.",
        RuleName::Users => "One source tries the passwords of many different users.",
        RuleName::UserAgents => {
            "The user agent names a known scanner; the first failure is enough."
        }
        RuleName::Report => "Your dialplan reported the source with a sipward::report event.",
        RuleName::Flood => {
            "So many events in a second that FreeSWITCH could stop answering phones."
        }
        RuleName::Slow => "Failures spread over a day, too slow for the window of the first rule.",
        RuleName::Challenges => "Many challenges that the source never answers.",
        RuleName::Calls => "Failed or abandoned calls from a source that does not log in.",
        RuleName::RawAddress => "Failures that name an IP address in place of your SIP domain.",
        RuleName::Account => {
            "One user is attacked from many sources; strangers that fail for it are banned early."
        }
        RuleName::Network => {
            "Failures from several strangers in one /24 (IPv6: /48); the network is banned."
        }
        RuleName::Log => "Lines of FreeSWITCH's log that no event reports.",
        RuleName::Login => "Failed log-ins to this console and the API.",
        RuleName::Attention => "A phone with an old password keeps failing.",
        RuleName::Insider => "A host with a logged-in user guesses the passwords of other users.",
        RuleName::Deafness => "FreeSWITCH no longer answers its own profiles.",
        RuleName::Scan => "Many packets from a stranger to the SIP ports, with or without log-ins.",
    }
}

/// How well the source address of a failure is proved.
pub(super) fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Genuine => "genuine: in the dialog of the user's registration",
        Grade::Answered => "answered: the client received the challenge of this dialog",
        Grade::Assumed => "assumed: this FreeSWITCH version sends no attempts",
        Grade::Challenged => "challenged: the address received a challenge in another dialog",
        Grade::Unchallenged => "unchallenged: another address fetched the nonce",
        Grade::Unproven => "unproven: forgeable",
        Grade::Unjoined => "unjoined: no matching attempt",
    }
}

/// The log-in history of a source.
pub(super) fn identity(identity: Identity) -> &'static str {
    match identity {
        Identity::Stranger => "stranger: no log-in from there lately",
        Identity::Caller => "caller: the dialplan accepted a call from there",
        Identity::Known => "known: logged in from there lately",
        Identity::Trusted => "trusted: log-ins from there over a long time",
        Identity::Shared => "shared: several users log in from there (a proxy or a NAT)",
    }
}

/// Why no rule bans a source.
pub(super) fn exemption(class: Exemption) -> &'static str {
    match class {
        Exemption::Own => "this host itself",
        Exemption::Gateway => "a gateway of this host",
        Exemption::EslPeer => "the FreeSWITCH end of the Event Socket",
        Exemption::NameServer => "a name server of this host",
        Exemption::Trunk => "a trunk of FreeSWITCH",
        Exemption::Proxy => "one of the proxies",
        Exemption::Acl => "allowed by an access control list of FreeSWITCH",
        Exemption::Allow => "on the allow list",
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
