use std::io::Write as _;
use std::path::Path;

use super::*;

fn config(toml: &str) -> Config {
    Config::parse(toml, Path::new("sipward.toml")).unwrap()
}

fn nets(classes: &[Exempt], wanted: Exemption) -> Vec<String> {
    classes
        .iter()
        .filter(|(class, _)| *class == wanted)
        .flat_map(|(_, nets)| nets.iter().map(ToString::to_string))
        .collect()
}

#[tokio::test]
async fn names_become_addresses_and_networks_stay() {
    let config = config("allow = [\"localhost\", \"192.0.2.0/24\"]\nproxies = [\"2001:db8::5\"]");
    let mut names = Names::default();
    let before = names.classes(&config);
    assert_eq!(nets(&before, Exemption::Allow), ["192.0.2.0/24"], "nothing was looked up yet");
    let (classes, failed) = names.refresh(&config).await;
    assert!(failed.is_empty(), "{failed:?}");
    let allow = nets(&classes, Exemption::Allow);
    assert!(allow.contains(&"127.0.0.1/32".to_owned()) || allow.contains(&"::1/128".to_owned()));
    assert!(allow.contains(&"192.0.2.0/24".to_owned()));
    assert_eq!(nets(&classes, Exemption::Proxy), ["2001:db8::5/128"]);
}

#[tokio::test]
async fn a_name_that_fails_keeps_its_last_answer_and_is_reported() {
    // RFC 6761 section 6.4: `.invalid` never resolves.
    let config = config("allow = [\"office.invalid\"]");
    let mut names = Names::default();
    names.answers.insert("office.invalid".into(), vec!["192.0.2.9".parse().unwrap()]);
    let (classes, failed) = names.refresh(&config).await;
    assert_eq!(nets(&classes, Exemption::Allow), ["192.0.2.9/32"]);
    assert!(
        matches!(failed.as_slice(), [Record::NameFailed { name, .. }] if name == "office.invalid")
    );
}

#[tokio::test]
async fn an_answer_for_a_name_that_left_the_file_is_forgotten() {
    let mut names = Names::default();
    names.answers.insert("office.invalid".into(), vec!["192.0.2.9".parse().unwrap()]);
    names.refresh(&config("")).await;
    assert!(names.answers.is_empty());
}

#[test]
fn name_servers_come_from_resolv_conf_and_a_broken_file_names_none() {
    let read = |text: &[u8]| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        name_servers(file.path()).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        read(b"# comment\nnameserver 192.0.2.53\nnameserver fe80::53%eth0\nsearch a.org\n"),
        ["192.0.2.53/32", "fe80::53/128"]
    );
    assert!(read(b"nameserver not-an-address\n").is_empty());
    assert!(name_servers(Path::new("/nonexistent")).is_empty());
}
