//! Where the attacks come from: countries and networks, as a map and as tables.

use maud::{Markup, html};

use super::labels::{self, plain};
use super::language::{en, t};
use super::map::{bans_in, key, map};
use sipward_daemon::control::{Control, ControlError};
use sipward_model::wire::{MAX_LIMIT, Place, PlaceList};

/// Rows of each table; the other countries unfold.
const LINES: u16 = 8;

/// Both tables.
pub(super) struct Insights {
    countries: PlaceList,
    networks: PlaceList,
}

impl Insights {
    pub(super) async fn ask(control: &Control) -> Result<Self, ControlError> {
        // The map shows all countries.
        let (countries, networks) = control.countries_and_networks(MAX_LIMIT, LINES).await?;
        Ok(Self { countries, networks })
    }

    /// The section of the overview.
    pub(super) fn section(&self) -> Markup {
        let Self { countries, networks } = self;
        html! {
            section.card aria-labelledby="places-title" {
                h2 #places-title { (t("Where attacks come from")) }
                div #places data-live="" {
                    @if countries.located { (located(countries, networks)) }
                    @else { (no_files()) }
                }
            }
        }
    }
}

fn located(countries: &PlaceList, networks: &PlaceList) -> Markup {
    let (shown, more) = countries.items.split_at(countries.items.len().min(LINES.into()));
    let nothing = countries.items.is_empty() && networks.items.is_empty();
    if nothing && countries.unlocated_failures + countries.unlocated_bans == 0 {
        return html! {
            p.empty { (t!("No failures since {time}, and no bans.", time = labels::at(countries.memory.since))) }
        };
    }
    html! {
        @if !countries.items.is_empty() { (map(countries)) }
        div.grid {
            div {
                (table(en("Country"), t("Countries of failures and bans"), shown))
                @if countries.items.is_empty() {
                    p.empty { (t!("The files in {geo} name no country for these addresses.", geo = geo())) }
                }
                @if !more.is_empty() {
                    details {
                        summary { (t!("{count} more", count = labels::number(more.len() as u64))) }
                        (table(en("Country"), t("Countries of failures and bans"), more))
                    }
                }
            }
            div {
                (table(en("Network"), t("Networks of failures and bans"), &networks.items))
                @if networks.items.is_empty() {
                    p.empty {
                        (t!(
                            "The files in {geo} name no networks for these addresses. Files that do are \
                             GeoLite2-ASN and DB-IP ASN Lite.",
                            geo = geo(),
                        ))
                    }
                }
            }
        }
        p.soft {
            (t!(
                "From {failures} since {time} and all bans.",
                failures = labels::count(countries.memory.failures, "failure"),
                time = labels::at(countries.memory.since),
            ))
            @if countries.unlocated_failures + countries.unlocated_bans > 0 {
                " "
                (t!(
                    "Of unknown country: {failures}, {bans}.",
                    failures = labels::count(countries.unlocated_failures, "failure"),
                    bans = labels::count(countries.unlocated_bans, "ban"),
                ))
            }
        }
    }
}

fn geo() -> Markup {
    html! { code { "[geo]" } }
}

/// A table of places; `what` they are is English.
fn table(what: &'static str, caption: &str, places: &[Place]) -> Markup {
    if places.is_empty() {
        return html! {};
    }
    html! {
        table.rows.tight {
            caption.hidden { (caption) }
            thead { tr {
                th scope="col" { (t(what)) } th.num scope="col" { (t("Proved")) }
                th.num scope="col" { (t("Failures")) } th.num scope="col" { (t("Sources")) }
                th.num scope="col" { (t("Bans")) }
            } }
            tbody {
                @for place in places {
                    tr data-key=(key(place)) {
                        th scope="row" { a href=(bans_in(place)) { (name(place)) } }
                        td.num data-label=(t("Proved")) { (labels::number(place.proved)) }
                        td.num data-label=(t("Failures")) { (labels::number(place.failures)) }
                        td.num data-label=(t("Sources")) { (labels::number(place.sources)) }
                        td.num data-label=(t("Bans")) { (labels::number(place.bans)) }
                    }
                }
            }
        }
    }
}

/// What the page says without a file.
fn no_files() -> Markup {
    html! {
        p {
            (t("No file says where addresses are. sipward reads files in MaxMind's format (.mmdb) and downloads nothing. \
             Free ones are DB-IP Lite (db-ip.com/db/lite.php, without an account) and GeoLite2 (dev.maxmind.com, with \
             an account; geoipupdate keeps them up to date): one of countries or cities, one of networks (ASN). Put \
             them on this host, name them in the configuration, and reload sipward:"))
        }
        pre tabindex="0" aria-label=(t("Configuration")) {
            "[geo]\nfiles = [\"/var/lib/GeoIP/dbip-country-lite.mmdb\", \"/var/lib/GeoIP/dbip-asn-lite.mmdb\"]\n"
        }
        p.soft {
            (t("Where files are named already, an alarm says why they cannot be used. Nothing else depends on them: no \
             rule uses countries."))
        }
    }
}

fn name(place: &Place) -> Markup {
    let code = place.country.map(|code| code.to_string());
    let number = place.as_number.map(|number| format!("AS{number}"));
    html! {
        @if let Some(name) = &place.name { (plain(name)) " " }
        span.soft { (code.or(number).unwrap_or_default()) }
    }
}

#[cfg(test)]
mod tests {
    use sipward_model::text::Time;
    use sipward_model::wire::{Memory, PlaceBy};

    use super::super::map::words;
    use super::*;

    fn place(country: Option<&str>, as_number: Option<u32>, name: &str) -> Place {
        Place {
            country: country.map(|code| code.parse().unwrap()),
            as_number,
            name: Some(name.to_owned()),
            failures: 12,
            proved: 10,
            sources: 3,
            bans: 1,
            last: None,
        }
    }

    #[test]
    fn a_name_of_a_file_is_text_and_nothing_else() {
        let hostile = place(None, Some(64_500), "\u{1b}[2J<b>\u{202e}");
        let shown = table("Network", "", std::slice::from_ref(&hostile)).into_string();
        assert!(shown.contains("\\u{1b}[2J&lt;b&gt;\\u{202e}"), "{shown}");
        assert!(shown.contains("href=\"/bans?as=64500\""), "{shown}");
        assert_eq!(
            words(&hostile).0,
            "\\u{1b}[2J<b>\\u{202e}: 12 failures, 10 proved, from 3 sources; 1 ban"
        );
    }

    #[test]
    fn without_a_file_the_section_says_how_to_get_one_and_draws_no_map() {
        let shown = no_files().into_string();
        for part in ["[geo]\nfiles = [", "db-ip.com", "GeoLite2", "dbip-asn-lite.mmdb"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(!shown.contains("<svg"));
    }

    #[test]
    fn a_country_of_few_attacks_is_listed_once() {
        let memory = Memory {
            failures: 12,
            remembered_at_most: 100,
            since: "2026-11-23T22:00:00Z".parse::<Time>().unwrap(),
        };
        let items = vec![place(Some("de"), None, "Germany")];
        let list = PlaceList {
            by: PlaceBy::Country,
            located: true,
            items,
            total: 1,
            unlocated_failures: 0,
            unlocated_bans: 0,
            memory,
        };
        let shown = map(&list).into_string();
        assert_eq!(shown.matches("#DE\"").count(), 1);
        assert!(shown.contains("href=\"/bans?country=DE\""), "{shown}");
    }
}
