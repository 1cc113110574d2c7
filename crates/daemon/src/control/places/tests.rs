use std::path::PathBuf;

use sipward_engine::{Exemption, Grade, Identity, Judgement, Text};

use super::*;
use crate::activity::Attacks;
use crate::geo::Geo;
use sipward_config::GeoSettings;

const NOON: Timestamp = Timestamp::from_micros(1_800_014_400 * 1_000_000);

/// Documentation prefixes: see `tests/fixtures/geo/make.py`.
fn finder(files: &[&str]) -> Finder {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/geo"));
    let geo = Geo::default();
    let files = files.iter().map(|file| dir.join(file)).collect();
    assert!(geo.read(&GeoSettings { files }).is_empty());
    geo.finder()
}

fn remembered(failures: &[(&str, Grade)]) -> Remembered {
    remembered_of(failures, |_| {})
}

fn remembered_of(failures: &[(&str, Grade)], change: impl Fn(&mut Judgement)) -> Remembered {
    let mut attacks = Attacks::new(NOON);
    for (address, grade) in failures {
        let mut judgement = Judgement {
            address: address.parse().unwrap(),
            user: Text::new("1000"),
            profile: Text::new("internal"),
            user_agent: Text::new("x"),
            grade: *grade,
            identity: Identity::Stranger,
            attention: false,
            failures: 1,
            exempt: None,
            banned: false,
        };
        change(&mut judgement);
        attacks.failure(&judgement, NOON);
    }
    attacks.remembered(NOON)
}

const STORM: [(&str, Grade); 6] = [
    ("198.51.100.1", Grade::Unproven),
    ("198.51.100.1", Grade::Unproven),
    ("198.51.100.2", Grade::Unproven),
    ("203.0.113.7", Grade::Answered),
    ("203.0.113.200", Grade::Answered),
    ("192.0.2.1", Grade::Answered),
];

/// Code or number, name, failures, proved, sources, bans.
fn rows(list: &PlaceList) -> Vec<(String, Option<&str>, [u64; 4])> {
    let row = |place: &Place| {
        let key = place.country.map(|code| code.to_string());
        let key = key.or(place.as_number.map(|number| number.to_string())).unwrap();
        (key, place.name.clone(), [place.failures, place.proved, place.sources, place.bans])
    };
    let name = |name: &Option<String>| match name.as_deref() {
        Some("Netherlands") => Some("Netherlands"),
        Some("Germany") => Some("Germany"),
        Some("United States") => Some("United States"),
        Some("Example Hosting") => Some("Example Hosting"),
        _ => None,
    };
    list.items.iter().map(row).map(|(key, named, counts)| (key, name(&named), counts)).collect()
}

#[test]
fn proved_failures_count_first_and_forged_ones_last() {
    let finder = finder(&["city.mmdb", "as.mmdb"]);
    let nets =
        ["2001:db8:bad::/64", "203.0.113.7/32", "192.0.2.1/32"].map(|net| net.parse().unwrap());
    let bans = add(HashMap::new(), &finder, &nets);
    let seen = remembered(&STORM);
    let countries = Located::new(&finder, &seen, &bans).list(PlaceBy::Country, 10);
    assert_eq!(
        rows(&countries),
        [
            ("NL".to_owned(), Some("Netherlands"), [2, 2, 2, 1]),
            ("US".to_owned(), Some("United States"), [0, 0, 0, 1]),
            ("DE".to_owned(), Some("Germany"), [3, 0, 2, 0]),
        ]
    );
    assert_eq!((countries.unlocated_failures, countries.unlocated_bans), (1, 1));
    assert_eq!(countries.items[1].last, None, "only a ban is known of it");
    let networks = Located::new(&finder, &seen, &bans).list(PlaceBy::Network, 1);
    // 203.0.113.200 is outside of the /25 that the file has.
    assert_eq!(rows(&networks), [("64496".to_owned(), Some("Example Hosting"), [1, 1, 1, 1])]);
    assert_eq!((networks.total, networks.unlocated_failures), (3, 2));
}

#[test]
fn phones_with_an_old_password_and_exempt_hosts_are_no_attackers() {
    let finder = finder(&["city.mmdb"]);
    let office: IpAddr = "203.0.113.7".parse().unwrap();
    let phone: IpAddr = "203.0.113.200".parse().unwrap();
    let seen = remembered_of(&STORM, |judgement| {
        judgement.attention = judgement.address == phone;
        judgement.exempt = (judgement.address == office).then_some(Exemption::Allow);
    });
    let countries = Located::new(&finder, &seen, &HashMap::new()).list(PlaceBy::Country, 10);
    let dutch = countries.items.iter().find(|place| place.name.as_deref() == Some("Netherlands"));
    let dutch = dutch.unwrap();
    assert_eq!((dutch.failures, dutch.proved, dutch.counted), (2, 2, 0));
}

#[test]
fn what_the_files_do_not_say_is_counted_and_without_files_nothing_is() {
    let seen = remembered(&STORM);
    let only_networks = finder(&["as.mmdb"]);
    let (no_bans, no_files) = (HashMap::new(), finder(&[]));
    let countries = Located::new(&only_networks, &seen, &no_bans).list(PlaceBy::Country, 10);
    assert_eq!(
        (countries.located, countries.items.len(), countries.unlocated_failures),
        (true, 0, 6)
    );
    let nothing = Located::new(&no_files, &seen, &no_bans).list(PlaceBy::Country, 10);
    assert_eq!((nothing.located, nothing.items.len(), nothing.unlocated_failures), (false, 0, 0));
}
