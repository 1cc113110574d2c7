//! An alarm in a language other than English, made of its kind and its fields: its own text is English.

use maud::Markup;
use serde_json::Value;

use super::super::super::labels::{self, plain};
use super::super::super::language::{self, t};
use sipward_model::wire::{Alarm, AlarmKind};

/// The text of an alarm. Where a field is missing, as of a state without a record, it stays English.
pub(super) fn text(alarm: &Alarm) -> Markup {
    if language::is_english() {
        return plain(&alarm.text);
    }
    translated(alarm).unwrap_or_else(|| labels::english(&alarm.text))
}

#[expect(clippy::too_many_lines, reason = "one arm for each kind")]
fn translated(alarm: &Alarm) -> Option<Markup> {
    let field = |name| match alarm.data.get(name)? {
        Value::String(text) => Some(plain(text)),
        Value::Number(number) => Some(match number.as_u64() {
            Some(whole) => plain(&language::number(whole)),
            None => plain(&language::decimal(number.as_f64()?, 1)),
        }),
        _ => None,
    };
    let error = || Some(labels::english(alarm.data.get("error")?.as_str()?));
    let is_some = |name| alarm.data.get(name).and_then(Value::as_u64).is_some_and(|n| n > 0);
    Some(match alarm.kind {
        AlarmKind::EslDisconnected => t!("no FreeSWITCH: {error}", error = error()?),
        AlarmKind::FleetDisconnected => {
            t!("not connected to the fleet; bans of this node continue: {error}", error = error()?)
        }
        AlarmKind::FleetBehind => {
            t!(
                "messages of the fleet that are not read yet: {messages}",
                messages = field("messages")?
            )
        }
        AlarmKind::FleetNoQuorum => t!(
            "the servers of the fleet acknowledge nothing; messages that wait: {waiting}",
            waiting = field("waiting")?,
        ),
        AlarmKind::FleetNameTaken => {
            t!("another node of the fleet is called {node}", node = field("node")?)
        }
        AlarmKind::StoreDegraded => {
            t!("storage failed; bans continue, but are not stored: {error}", error = error()?)
        }
        AlarmKind::BanTableFull => {
            t!("the ban table is full ({max}): new bans are refused", max = field("max_bans")?)
        }
        AlarmKind::NotEnforced => t!(
            "the kernel does not enforce bans, first that of {net}: {error}",
            net = field("net")?,
            error = error()?,
        ),
        AlarmKind::Shielded => t!(
            "shielded: {rate} packets/s of strangers dropped",
            rate = field("dropped_per_second")?,
        ),
        AlarmKind::Overload => t!(
            "exempt hosts send {rate} packets/s without a limit; FreeSWITCH accepts {limit} requests/s",
            rate = field("packets_per_second")?,
            limit = field("limit")?,
        ),
        AlarmKind::Limited => t!(
            "{net} sends {rate} packets/s for a minute; {limit}/s pass. Allow it if it is a carrier or a monitor",
            net = field("net")?,
            rate = field("packets_per_second")?,
            limit = field("limit")?,
        ),
        AlarmKind::ReloadFailed => {
            t!("the configuration was not reloaded: {error}", error = error()?)
        }
        AlarmKind::PolicyRejected => {
            t!("the new policy was not applied: {error}", error = error()?)
        }
        AlarmKind::ApiFailed => t!("no control socket: {error}", error = error()?),
        AlarmKind::HttpFailed => t!(
            "no console and API at {address}: {error}",
            address = field("address")?,
            error = error()?,
        ),
        AlarmKind::CertificateFailed => {
            t!("the previous certificate remains in use: {error}", error = error()?)
        }
        AlarmKind::DeliveryFailed => {
            t!("{receiver} not delivered: {error}", receiver = field("by")?, error = error()?)
        }
        AlarmKind::ManyBans => t!("{bans} bans within a minute: check them", bans = field("bans")?),
        AlarmKind::Spoofing => {
            t!("{failures} forgeable failures within a minute", failures = field("failures")?)
        }
        AlarmKind::Guessed if is_some("failures") => t!(
            "user {user} logged in from new address {address} after failures there ({count}): the password may have \
             been guessed",
            user = field("user")?,
            address = field("address")?,
            count = field("failures")?,
        ),
        AlarmKind::Guessed => t!(
            "user {user} logged in from new address {address} while {count} other addresses fail for this user: the \
             password may have been guessed",
            user = field("user")?,
            address = field("address")?,
            count = field("strangers")?,
        ),
        AlarmKind::LikelyProxy => t!(
            "{address} fails, and healthy users log in from there: a proxy or a NAT?",
            address = field("address")?,
        ),
        AlarmKind::AccountAttacked => t!(
            "user {user} is attacked from {sources} sources",
            user = field("user")?,
            sources = field("sources")?,
        ),
        AlarmKind::Insider => t!(
            "{address}, from where users log in, guesses passwords of {users} other users: {failures} failures within \
             the hour",
            address = field("address")?,
            users = field("users")?,
            failures = field("failures")?,
        ),
        AlarmKind::AccountSpread => t!(
            "account {user} was used from {addresses} new addresses within a day: stolen?",
            user = field("user")?,
            addresses = field("addresses")?,
        ),
        AlarmKind::Unjoined => t!(
            "{failures} failures of {address} came without attempts: it may hide its guesses",
            failures = field("failures")?,
            address = field("address")?,
        ),
        AlarmKind::Distributed => t!(
            "{sources} strangers failed within a minute, each below the threshold",
            sources = field("sources")?,
        ),
        AlarmKind::ForgeableBans => t!(
            "{bans} bans within a minute on forgeable evidence: further ones are only reported",
            bans = field("bans")?,
        ),
        AlarmKind::NetworkBanned => t!(
            "the network {net} is banned: {failures} failures of its addresses",
            net = field("net")?,
            failures = field("failures")?,
        ),
        AlarmKind::StoreSetAside => t!(
            "the store was corrupt ({error}) and was moved to {file}; a new one was created",
            error = error()?,
            file = field("file")?,
        ),
        AlarmKind::StoreIncomplete => t!("the store is incomplete: {error}", error = error()?),
        AlarmKind::NotSpared => t!("healthy hosts are rate-limited too: {error}", error = error()?),
        AlarmKind::EventsDropped => t!(
            "{count} events dropped: they arrived faster than the engine could judge them",
            count = field("dropped")?,
        ),
        AlarmKind::RefusedLogin => t!(
            "user {user} at {address} has the right password, but was refused",
            user = field("user")?,
            address = field("address")?,
        ),
        AlarmKind::DirectoryFailed => t!(
            "FreeSWITCH did not answer {question}: {error}",
            question = field("question")?,
            error = error()?,
        ),
        AlarmKind::GatewayUnprotected => t!(
            "gateway {gateway} is not protected: add the addresses of its carrier to the allow list ({error})",
            gateway = field("gateway")?,
            error = error()?,
        ),
        AlarmKind::AccessListUnused => {
            t!("access list {list} is not used: {error}", list = field("list")?, error = error()?)
        }
        AlarmKind::NameFailed => t!(
            "cannot look up {name}: {error}; using the last answer",
            name = field("name")?,
            error = error()?,
        ),
        AlarmKind::GeoFailed => {
            t!("cannot use {file} of [geo]: {error}", file = field("file")?, error = error()?)
        }
        AlarmKind::RecordsMissed => t!(
            "{receiver} was too slow and missed {count} records",
            receiver = field("by")?,
            count = field("count")?,
        ),
        AlarmKind::LogLost => t!("{count} log lines lost", count = field("lines")?),
        AlarmKind::ConnectionsShed => t!(
            "{count} connections to the console and API closed or refused: more than the limit of {limit}",
            count = field("count")?,
            limit = field("limit")?,
        ),
        // Their texts depend on more than their fields.
        AlarmKind::GateOpen
        | AlarmKind::Deaf
        | AlarmKind::ProtocolTaken
        | AlarmKind::StrayRoutes
        | AlarmKind::BansIneffective
        | AlarmKind::RouteFailed
        | AlarmKind::Healed
        | AlarmKind::RegistrationsUnreadable
        | AlarmKind::EventsNotAllowed
        | AlarmKind::Clock
        | AlarmKind::Stalled
        | AlarmKind::PeerShadowed => return None,
    })
}
