//! The owner of an address. DNS and whois are queried only when the button is pressed, because the owner of the
//! address may see the query.

use std::net::IpAddr;

use maud::{Markup, html};

use super::super::labels::{self, Shown, plain};
use super::super::language::t;
use sipward_daemon::control::{Control, ControlError};
use sipward_model::wire::{Host, Location, SourceReport, WhoisReport};

/// The answers.
pub(super) struct Asked {
    host: Result<Host, ControlError>,
    whois: Result<WhoisReport, ControlError>,
}

/// Queries both at once.
pub(super) async fn ask(control: &Control, address: IpAddr) -> Asked {
    let (host, whois) = tokio::join!(control.host(address), control.whois(address));
    Asked { host, whois }
}

pub(super) fn whose(report: &SourceReport, asked: Option<&Asked>) -> Markup {
    html! {
        dl.pairs {
            @if let Some(location) = &report.location { (located(location)) }
            @if let Some(asked) = asked { dt { (t("Name")) } dd { (named(&asked.host)) } }
        }
        @match asked {
            Some(asked) => (registered(&asked.whois)),
            None => form method="get" action={ "/sources/" (Shown(report.address)) } {
                input type="hidden" name="ask" value="1";
                p.actions {
                    button.quiet type="submit" { (t("Query DNS and whois")) }
                    span.soft { (t("The owner of the address may see the query.")) }
                }
            },
        }
    }
}

fn located(location: &Location) -> Markup {
    let Location { country, country_name, city, as_number, as_name, network } = location;
    html! {
        @if let Some(name) = country_name.as_ref().or(country.as_ref()) {
            dt { (t("Country")) }
            dd { (plain(name)) @if let Some(city) = city { ", " (plain(city)) } }
        }
        @if as_number.is_some() || as_name.is_some() {
            dt { (t("Network")) }
            dd {
                @if let Some(name) = as_name { (plain(name)) " " }
                @if let Some(number) = as_number { span.soft { "AS" (number) } }
                @if let Some(network) = network { span.soft { ", " (Shown(network)) } }
            }
        }
    }
}

fn named(host: &Result<Host, ControlError>) -> Markup {
    let host = match host {
        Ok(host) => host,
        Err(fault) => return labels::english(&why(fault)),
    };
    html! {
        @if let Some(error) = &host.names_error { (labels::english(error)) }
        @else if host.names.is_empty() { (t("none")) }
        @for (place, name) in host.names.iter().enumerate() {
            @if place > 0 { ", " }
            span.mono { (plain(&name.name)) }
            @if !name.confirmed { " " span.pill.warn { (t("unconfirmed")) } }
        }
    }
}

fn registered(whois: &Result<WhoisReport, ControlError>) -> Markup {
    html! {
        @match whois {
            Ok(report) => {
                p.soft {
                    (t!("Answer of {server}", server = plain(&report.server)))
                    @if report.cached { " (" (t("cached")) ")" }
                    ":"
                }
                pre tabindex="0" aria-label=(t("Whois answer")) {
                    @for line in report.text.lines() { (plain(line)) "\n" }
                }
            }
            Err(fault) => p.notice.warn { "whois: " (labels::english(&why(fault))) },
        }
    }
}

/// Why a query failed; without the name of an invalid field, because the page shows no such field.
fn why(error: &ControlError) -> String {
    match error {
        ControlError::Invalid(field) => field.detail.clone(),
        error => error.to_string(),
    }
}
