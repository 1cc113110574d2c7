//! Lists of a file that are banned or allowed, and entries of the allow list that end by themselves.

use std::fs;

use serde_json::{Value, json};
use sipward_tests::daemon::Setup;
use sipward_tests::wait::until;

use super::shell::{assert_harmless, sipward};
use super::world::{ALL, Family, GATEWAYS, NONE, World, of};

super::cases![
    a_list_of_addresses_and_networks_is_banned_and_bad_rows_are_named,
    a_table_is_banned_for_a_time,
    a_list_is_allowed_for_a_time,
    a_list_without_an_address_is_refused,
    an_allowed_host_can_be_banned_again_when_its_time_is_over,
    an_end_by_a_date_holds_beyond_a_restart,
];

/// A file beside the configuration; returns its path.
fn file(setup: &Setup, name: &str, text: &str) -> String {
    let path = setup.directory().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The items of a list that the shell gives.
fn items(setup: &Setup, words: &[&str]) -> Vec<Value> {
    let page = sipward(setup, &[words, &["--json"]].concat()).json(0);
    page["items"].as_array().unwrap().clone()
}

/// The hosts of the allow list.
fn allowed(setup: &Setup) -> Vec<Value> {
    items(setup, &["allow", "list"]).iter().map(|entry| entry["host"].clone()).collect()
}

fn a_list_of_addresses_and_networks_is_banned_and_bad_rows_are_named() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let text = format!(
        "# shared by the carrier\n198.51.100.7 # rang at night\n\n198.18.0.0/24\n2001:db8:bad::/64 seen twice\n\
         nonsense \u{1b}[2J\n{}\n198.51.100.7\n999.1.1.1\n",
        GATEWAYS[0]
    );
    let list = file(&setup, "attackers.txt", &text);
    let words = ["import", "list", &list, "--for", "2h", "--reason", "shared list"];
    let said = sipward(&setup, &words);
    assert_harmless(&said.err);
    for bad in [":6: no address or network: nonsense", ":9: no address or network: 999.1.1.1"] {
        assert!(said.err.contains(&format!("{list}{bad}")), "{bad} in {}", said.err);
    }
    // The gateway is refused, and the rest is banned.
    let out = said.expect(4);
    assert!(out.starts_with("banned: 3 of 4\n"), "{out}");
    assert!(out.contains(&format!("refused: {}/32: ", GATEWAYS[0])), "{out}");
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    assert_eq!(world.attacker_arrives(Family::V6), NONE);
    assert_eq!(world.phone_arrives(Family::V4), ALL);
    let bans = items(&setup, &["bans"]);
    assert_eq!(bans.len(), 3, "{bans:#?}");
    for ban in bans {
        assert_eq!(ban["cause"]["comment"], "shared list", "{ban:#}");
        assert!(ban["until"].is_string(), "{ban:#}");
    }
}

fn a_table_is_banned_for_a_time() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let text = "hostname;ip;log_status\npbx;198.51.100.7;\"blocked; 203.0.113.5\"\npbx;;blocked\n";
    let list = file(&setup, "event_guard.csv", text);
    let done = sipward(&setup, &["import", "list", &list, "--for", "3s", "--json"]).json(0);
    let counts = ["entries", "lines_without_address", "bans"].map(|name| done[name].clone());
    assert_eq!(counts, [1, 1, 1], "{done:#}");
    daemon.expect_that("unban", of("198.51.100.7/32"));
    world.attacker_is_let_in(Family::V4);
    // Until somebody lifts it.
    sipward(&setup, &["import", "list", &list, "--permanent"]).expect(0);
    let bans = items(&setup, &["bans"]);
    assert_eq!((bans.len(), &bans[0]["until"]), (1, &Value::Null), "{bans:#?}");
}

fn a_list_is_allowed_for_a_time() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));
    let list = file(&setup, "offices.txt", "198.51.100.7\n203.0.113.0/28\nnot an office\n");
    let words = ["import", "list", &list, "--allow", "--comment", "offices", "--for", "1h"];
    let said = sipward(&setup, &words);
    assert!(said.err.contains(":3: no address or network: not an office"), "{}", said.err);
    assert_eq!(said.expect(0), "allowed: 2 of 2\n");
    world.attacker_is_let_in(Family::V4);
    let entries = items(&setup, &["allow", "list"]);
    assert_eq!(entries.len(), 2, "{entries:#?}");
    for entry in &entries {
        assert_eq!(entry["comment"], "offices", "{entry:#}");
        assert!(entry["until"].is_string(), "{entry:#}");
    }
    // The same list again gives its entries a new end.
    sipward(&setup, &["import", "list", &list, "--allow", "--for", "2s"]).expect(0);
    until("the allow list is empty", || allowed(&setup).is_empty());
}

fn a_list_without_an_address_is_refused() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let list = file(&setup, "empty.txt", "# nothing yet\n");
    let missing = setup.directory().join("missing.txt");
    for (list, why) in
        [(list.as_str(), "holds no address"), (missing.to_str().unwrap(), "cannot read")]
    {
        let said = sipward(&setup, &["import", "list", list]);
        assert!(said.err.contains(why), "{}", said.err);
        assert_eq!(said.expect(1), "");
    }
    let both = sipward(&setup, &["import", "list", &list, "--allow", "--reason", "x"]);
    assert_eq!(both.status, Some(2), "{}", both.err);
}

fn an_allowed_host_can_be_banned_again_when_its_time_is_over() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let words = ["allow", "add", "198.51.100.7", "--for", "2s", "--comment", "a test phone"];
    let out = sipward(&setup, &words).expect(0);
    assert!(out.starts_with("198.51.100.7/32 is never banned by a rule until "), "{out}");
    until("the allow list is empty", || allowed(&setup).is_empty());
    world.fail("198.51.100.7", 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));
    // An entry that ends later keeps it in, whatever it does.
    sipward(&setup, &["allow", "add", "198.51.100.7", "--for", "1h"]).expect(0);
    daemon.expect_that("unban", of("198.51.100.7/32"));
    world.attacker_is_let_in(Family::V4);
    let entries = items(&setup, &["allow", "list"]);
    assert!(entries[0]["until"].is_string(), "{entries:#?}");
}

fn an_end_by_a_date_holds_beyond_a_restart() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let words = ["allow", "add", "203.0.113.9", "--until", "2099-01-01"];
    assert!(sipward(&setup, &words).expect(0).contains("until 2099-01-01T00:00:00"));
    let short = ["allow", "add", "203.0.113.10", "--for", "2s", "--json"];
    let end = sipward(&setup, &short).json(0)["entry"]["until"].clone();
    let words = ["allow", "add", "203.0.113.11", "--until", end.as_str().unwrap()];
    sipward(&setup, &words).expect(0);
    daemon.stop();
    let _daemon = world.watch(&setup);
    until("only the entry of 2099 is left", || {
        let left = allowed(&setup);
        if left == [json!("203.0.113.9/32")] { Ok(()) } else { Err(format!("{left:?}")) }
    });
    for wrong in ["2020-01-01", "tomorrow"] {
        let said = sipward(&setup, &["allow", "add", "203.0.113.12", "--until", wrong]);
        assert_eq!(said.status, Some(2), "{wrong}: {}{}", said.out, said.err);
    }
}
