//! The map of the world: how much comes from each country, as shades.
//!
//! The outlines are an asset ([`WORLD`]), which browsers keep. A page names the countries of it that have a shade, so
//! it carries some 200 bytes for each. `map/make.mjs` beside the sources makes the asset.

use std::collections::HashSet;
use std::sync::LazyLock;

use maud::{Markup, html};

use super::assets::WORLD;
use super::labels::{self, Shown};
use super::language::{t, text};
use sipward_model::text::Plain;
use sipward_model::wire::{CountryCode, Place, PlaceList};

/// Shades besides the one of countries without proved failures.
const SHADES: u32 = 5;

/// The map of a table of countries, with its legend.
pub(super) fn map(countries: &PlaceList) -> Markup {
    let most = countries.items.iter().map(|place| place.proved).max().unwrap_or(0);
    let bounds = bounds(most);
    let file = &WORLD.path;
    html! {
        figure {
            svg.map viewBox="0 0 1000 430" role="group"
                aria-label=(t("Map of the world: proved failures by country. The table has the same numbers.")) {
                use href={ (file) "#world" } {}
                @for place in countries.items.iter().filter(|place| is_on_map(place)) {
                    @let code = place.country.as_ref().map(CountryCode::as_str).unwrap_or_default();
                    a href=(bans_in(place)) aria-label=(words(place)) tabindex="-1" {
                        use class={ "c" (shade(place.proved, &bounds)) } href={ (file) "#" (code) } {
                            title { (words(place)) }
                        }
                    }
                }
            }
            figcaption {
                span { (t("Proved failures:")) }
                span.shade.c0 { (t("none")) }
                @for (number, (from, to)) in (1..).zip(ranges(&bounds)) {
                    span class={ "shade c" (number) } {
                        @if from == to { (labels::number(from)) }
                        @else {
                            (t!("{from} to {to}", from = labels::number(from), to = labels::number(to)))
                        }
                    }
                }
            }
        }
    }
}

/// The bans of a place.
pub(super) fn bans_in(place: &Place) -> String {
    format!("/bans?{}", key(place))
}

/// What tells places apart, as the query of the bans names it.
pub(super) fn key(place: &Place) -> String {
    match (place.country, place.as_number) {
        (Some(code), _) => format!("country={code}"),
        (None, Some(number)) => format!("as={number}"),
        (None, None) => String::new(),
    }
}

/// `Germany: 12 failures, 10 proved, from 3 sources; 2 bans`.
pub(super) fn words(place: &Place) -> Shown<String> {
    let code = place.country.map(|code| code.to_string()).unwrap_or_default();
    let name = place.name.as_deref().unwrap_or(&code);
    Shown(text!(
        "{place}: {failures}, {proved} proved, from {sources}; {bans}",
        place = Plain(name),
        failures = labels::count(place.failures, "failure"),
        proved = labels::number(place.proved),
        sources = labels::count(place.sources, "source"),
        bans = labels::count(place.bans, "ban"),
    ))
}

/// The countries that the map has an outline of.
static DRAWN: LazyLock<HashSet<CountryCode>> = LazyLock::new(|| {
    let codes = WORLD.content.split("<path id=\"").skip(1);
    codes.filter_map(|rest| rest.get(..2)?.parse().ok()).collect()
});

fn is_on_map(place: &Place) -> bool {
    place.country.is_some_and(|code| DRAWN.contains(&code))
}

/// The most failures of each shade: equal steps of a scale on which each is so many times the one before, because
/// few countries have nearly all of them.
fn bounds(most: u64) -> Vec<u64> {
    let mut factor: u64 = 2;
    while factor.saturating_pow(SHADES) < most {
        factor += 1;
    }
    let steps = (1..=SHADES).map(|step| factor.saturating_pow(step).min(most.max(1)));
    let mut bounds: Vec<u64> = steps.collect();
    bounds.dedup();
    bounds
}

/// The first and the last number of each shade.
fn ranges(bounds: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    let first = std::iter::once(0).chain(bounds.iter().copied());
    first.map(|before| before + 1).zip(bounds.iter().copied())
}

/// 0 for none, otherwise the number of the first shade that reaches so far.
fn shade(proved: u64, bounds: &[u64]) -> usize {
    if proved == 0 { 0 } else { bounds.partition_point(|bound| *bound < proved) + 1 }
}

#[cfg(test)]
mod tests;
