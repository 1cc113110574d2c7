use std::path::PathBuf;

use super::*;

/// Made by `tests/fixtures/geo/make.py`: documentation prefixes only.
const CITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/geo/city.mmdb");
const AS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/geo/as.mmdb");

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn geo(files: &[&str]) -> (Geo, Vec<Record>) {
    let geo = Geo::default();
    let settings = GeoSettings { files: files.iter().map(PathBuf::from).collect() };
    let failed = geo.read(&settings);
    (geo, failed)
}

#[test]
fn several_files_make_one_answer() {
    let (geo, failed) = geo(&[CITY, AS]);
    assert!(failed.is_empty());
    let text = |text: &str| Some(text.to_owned());
    let expected = Place {
        country: text("NL"),
        country_name: text("Netherlands"),
        city: text("Amsterdam"),
        as_number: Some(64_496),
        as_name: text("Example Hosting"),
        network: Some("203.0.113.0/25".parse().unwrap()),
    };
    assert_eq!(geo.look_up(ip("203.0.113.7")), Some(expected));
    let v6 = geo.look_up(ip("2001:db8:bad::7")).unwrap();
    assert_eq!((v6.country.as_deref(), v6.as_number), (Some("US"), Some(64_511)));
    assert_eq!(geo.look_up(ip("10.1.2.3")), None);
}

#[test]
fn names_of_a_file_are_shown_without_control_characters() {
    let (geo, _) = geo(&[AS]);
    let place = geo.look_up(ip("198.51.100.7")).unwrap();
    assert_eq!(place.as_name.as_deref(), Some("Evil?[2J ?Networks \"Ltd\""));
    assert_eq!(place.country, None);
}

#[test]
fn a_missing_or_damaged_file_is_told_and_the_others_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let damaged = dir.path().join("damaged.mmdb");
    std::fs::write(&damaged, "no database").unwrap();
    let (geo, failed) = geo(&["/nowhere/at/all.mmdb", damaged.to_str().unwrap(), AS]);
    let named: Vec<_> = failed.iter().map(ToString::to_string).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named[0].contains("/nowhere/at/all.mmdb"), "{named:?}");
    assert_eq!(geo.look_up(ip("203.0.113.7")).unwrap().as_number, Some(64_496));
}

#[test]
fn a_file_that_is_cut_or_damaged_anywhere_never_breaks_a_look_up() {
    let whole = std::fs::read(CITY).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cut.mmdb");
    let addresses = ["203.0.113.7", "198.51.100.7", "2001:db8:bad::7", "10.1.2.3"].map(ip);
    let attempt = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let (geo, _) = geo(&[file.to_str().unwrap()]);
        for address in addresses {
            let _ = geo.look_up(address);
        }
    };
    for end in (0..whole.len()).step_by(97) {
        attempt(&whole[..end]);
    }
    for place in (0..whole.len()).step_by(41) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        attempt(&bytes);
    }
}
