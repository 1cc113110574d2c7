//! Nodes that share their bans by NATS servers.

use sipward_tests::fake_freeswitch::{Attempt, Outcome};
use sipward_tests::fleet::Fleet;
use sipward_tests::wait::until;

use super::kernel::blackholes_become;
use super::world::{ip, of, seen_at};

super::cases![
    a_dead_leader_of_the_stream_delays_no_ban,
    a_ban_of_one_node_is_in_force_at_the_other_until_it_ends_there,
    a_node_that_joins_later_takes_what_stands,
    no_phone_of_this_node_is_banned_because_another_says_so,
    what_this_node_allows_is_vetoed_elsewhere,
    an_operator_lifts_a_ban_on_all_nodes,
    what_an_operator_of_a_node_lifted_stays_lifted_there_after_a_restart,
    a_node_that_observes_has_nobody_banned_elsewhere,
    an_operator_distrusts_a_node,
    a_node_in_shadow_stays_there_after_a_restart_until_an_operator_accepts_it,
    a_phone_that_fails_over_with_an_old_password_is_not_banned,
    without_a_server_the_node_goes_on_alone,
    two_nodes_of_one_name_are_told,
];

/// An attacker.
const ATTACKER: &str = "198.51.100.7";
const ATTACKERS_NET: &str = "198.51.100.7/32";

/// A phone.
const PHONE: &str = "203.0.113.5";

fn a_ban_of_one_node_is_in_force_at_the_other_until_it_ends_there() {
    let fleet = Fleet::new(&["a", "b"], 1);
    let [node_a, node_b] = &fleet.nodes[..] else { unreachable!("two nodes") };
    let (a, b) = (node_a.join(), node_b.join());
    node_a.fail(ATTACKER, "1000", 5);
    a.expect_that("ban", of(ATTACKERS_NET));
    let taken = b.expect_that("ban", of(ATTACKERS_NET));
    assert_eq!(taken.text("by"), "remote", "{}", taken.raw);
    blackholes_become(&node_b.host, [ATTACKERS_NET]);
    let (_, why) = node_b.sipward(&["fleet", "why", ATTACKER]);
    assert!(why.contains("fra.a") && why.contains("failures"), "{why}");
    let status = until("the ban is counted", || {
        let status = node_b.status();
        (status["counts"]["taken"] == 1).then_some(status)
    });
    assert_eq!(status["node"], "fra.b");
    let (_, bans) = node_b.sipward(&["bans"]);
    assert!(bans.contains("FROM") && bans.contains("fra.a"), "the list says who banned: {bans}");
    let (_, own) = node_a.sipward(&["bans"]);
    assert!(!own.contains("FROM"), "{own}");

    let (status, text) = node_a.sipward(&["unban", ATTACKER]);

    assert_eq!(status, Some(0), "{text}");
    let unban = b.expect_that("unban", of(ATTACKERS_NET));
    assert_eq!(unban.text("reason"), "withdrawn");
    blackholes_become(&node_b.host, []);
    // What came from others is not said again.
    assert_eq!(node_b.status()["counts"]["published"], 0);
}

fn a_node_that_joins_later_takes_what_stands() {
    let fleet = Fleet::new(&["a", "b"], 1);
    let [node_a, node_b] = &fleet.nodes[..] else { unreachable!("two nodes") };
    let a = node_a.join();
    node_a.fail(ATTACKER, "1000", 5);
    a.expect_that("ban", of(ATTACKERS_NET));
    until("it is published", || node_a.status()["counts"]["published"] == 1);
    until("it is acknowledged", || node_a.status()["link"]["unacknowledged"] == 0);
    let b = node_b.join();
    b.expect_that("ban", of(ATTACKERS_NET));
    // After a crash it has it by itself, and the stream says the same.
    b.kill();
    let b = node_b.join();
    blackholes_become(&node_b.host, [ATTACKERS_NET]);
    drop(a);
    let a = node_a.join();
    until("the ban stands for all again", || node_a.status()["counts"]["published"] == 1);
    assert_eq!(b.stop().log.all("unban").len(), 0, "no node lost it meanwhile");
    a.stop();
}

fn no_phone_of_this_node_is_banned_because_another_says_so() {
    let fleet = Fleet::new(&["a", "b"], 1);
    let [node_a, node_b] = &fleet.nodes[..] else { unreachable!("two nodes") };
    let (a, b) = (node_a.join(), node_b.join());
    node_b.fs.success(ip(PHONE), 5060, "1001");
    until("the phone is known", || node_b.sipward(&["why", PHONE]).1.contains("known"));
    let (status, text) = node_a.sipward(&["ban", PHONE]);
    assert_eq!(status, Some(0), "{text}");
    node_a.fail(ATTACKER, "1000", 5);
    b.expect_that("ban", of(ATTACKERS_NET));
    let refused = b.expect_that("refused", of("203.0.113.5/32"));
    assert_eq!(refused.text("reason"), "known", "{}", refused.raw);
    blackholes_become(&node_b.host, [ATTACKERS_NET]);
    drop(a);
}

fn what_this_node_allows_is_vetoed_elsewhere() {
    let fleet = Fleet::new(&["a", "b"], 1);
    let [node_a, node_b] = &fleet.nodes[..] else { unreachable!("two nodes") };
    let (a, b) = (node_a.join(), node_b.join());
    node_a.fail(ATTACKER, "1000", 5);
    a.expect_that("ban", of(ATTACKERS_NET));
    b.expect_that("ban", of(ATTACKERS_NET));
    // A third host, allowed at b only after a has banned it, so that the veto comes last.
    node_a.done(&["ban", "198.51.100.8"]);
    b.expect_that("ban", of("198.51.100.8/32"));
    node_b.done(&["allow", "add", "198.51.100.8"]);
    let unban = b.expect_that("unban", of("198.51.100.8/32"));
    assert_eq!(unban.text("reason"), "exempted");
    drop(a);
}

fn an_operator_lifts_a_ban_on_all_nodes() {
    let fleet = Fleet::new(&["a", "b"], 1);
    let [node_a, node_b] = &fleet.nodes[..] else { unreachable!("two nodes") };
    let (a, b) = (node_a.join(), node_b.join());
    node_a.fail(ATTACKER, "1000", 5);
    b.expect_that("ban", of(ATTACKERS_NET));
    let (status, text) = node_b.sipward(&["unban", "--fleet", ATTACKER, "--reason", "a customer"]);
    assert_eq!(status, Some(0), "{text}");
    for (daemon, node) in [(&a, node_a), (&b, node_b)] {
        daemon.expect_that("unban", of(ATTACKERS_NET));
        blackholes_become(&node.host, []);
    }
    let (_, why) = node_b.sipward(&["fleet", "why", ATTACKER]);
    assert!(why.contains("a customer"), "{why}");
}

fn what_an_operator_of_a_node_lifted_stays_lifted_there_after_a_restart() {
    let fleet = Fleet::new(&["a", "b"], 1);
    let [node_a, node_b] = &fleet.nodes[..] else { unreachable!("two nodes") };
    let (a, b) = (node_a.join(), node_b.join());
    node_a.fail(ATTACKER, "1000", 5);
    b.expect_that("ban", of(ATTACKERS_NET));
    node_b.done(&["unban", ATTACKER]);
    b.expect_that("unban", of(ATTACKERS_NET));
    blackholes_become(&node_a.host, [ATTACKERS_NET]);
    b.stop();
    let b = node_b.join();
    // A later ban comes, so the earlier one was read and left out.
    node_a.done(&["ban", "198.51.100.8"]);
    b.expect_that("ban", of("198.51.100.8/32"));
    blackholes_become(&node_b.host, ["198.51.100.8/32"]);
    let (_, why) = node_b.sipward(&["fleet", "why", ATTACKER]);
    assert!(why.contains("lifted"), "{why}");
    drop(a);
}

fn a_node_that_observes_has_nobody_banned_elsewhere() {
    let fleet = Fleet::new(&["a", "b"], 1);
    let [node_a, node_b] = &fleet.nodes[..] else { unreachable!("two nodes") };
    let (a, b) = (node_a.join(), node_b.join());
    node_a.done(&["mode", "observe", "--yes"]);
    node_a.fail(ATTACKER, "1000", 5);
    a.expect_that("ban", of(ATTACKERS_NET));
    // It hears others all the same.
    node_b.done(&["ban", "198.51.100.8"]);
    a.expect_that("ban", of("198.51.100.8/32"));
    blackholes_become(&node_b.host, ["198.51.100.8/32"]);
    node_a.done(&["mode", "ban", "--yes"]);
    b.expect_that("ban", of(ATTACKERS_NET));
}

fn an_operator_distrusts_a_node() {
    let fleet = Fleet::new(&["a", "b"], 1);
    let [node_a, node_b] = &fleet.nodes[..] else { unreachable!("two nodes") };
    let (a, b) = (node_a.join(), node_b.join());
    node_a.fail(ATTACKER, "1000", 5);
    b.expect_that("ban", of(ATTACKERS_NET));
    let (status, text) = node_b.sipward(&["fleet", "distrust", "fra.a"]);
    assert_eq!(status, Some(0), "{text}");
    b.expect_that("unban", of(ATTACKERS_NET));
    blackholes_become(&node_b.host, []);
    blackholes_become(&node_a.host, [ATTACKERS_NET]);
    until("the status says so", || node_b.sipward(&["fleet", "status"]).1.contains("ignored"));
    drop(a);
}

fn a_node_in_shadow_stays_there_after_a_restart_until_an_operator_accepts_it() {
    let fleet = Fleet::new(&["a", "b"], 1);
    let [node_a, node_b] = &fleet.nodes[..] else { unreachable!("two nodes") };
    let (a, b) = (node_a.join(), node_b.join());
    let phones = (1..=5).map(|n| format!("203.0.113.{n}"));
    for phone in phones {
        node_b.fs.success(ip(&phone), 5060, "1001");
        until("the phone is known", || node_b.sipward(&["why", &phone]).1.contains("known"));
        node_a.done(&["ban", &phone]);
    }
    b.expect_that("alarm", |line| line.text("alarm") == "peer_shadowed");
    b.stop();
    let b = node_b.join();
    node_a.fail(ATTACKER, "1000", 5);
    a.expect_that("ban", of(ATTACKERS_NET));
    until("the ban was heard", || node_b.sipward(&["fleet", "why", ATTACKER]).1.contains("fra.a"));
    blackholes_become(&node_b.host, []);
    let (status, text) = node_b.sipward(&["fleet", "distrust", "--accept", "fra.a"]);
    assert_eq!(status, Some(0), "{text}");
    b.expect_that("ban", of(ATTACKERS_NET));
    blackholes_become(&node_b.host, [ATTACKERS_NET]);
}

fn a_phone_that_fails_over_with_an_old_password_is_not_banned() {
    let fleet = Fleet::new(&["a", "b"], 1);
    let [node_a, node_b] = &fleet.nodes[..] else { unreachable!("two nodes") };
    let (a, b) = (node_a.join(), node_b.join());
    node_a.fs.success(ip(PHONE), 5060, "1001");
    until("the other node knows the phone", || node_b.sipward(&["why", PHONE]).1.contains("known"));
    // A restart of the node where it logged in does not take that away.
    a.stop();
    let a = fleet.nodes[0].join();
    until("it is acknowledged", || node_a.status()["link"]["unacknowledged"] == 0);
    assert!(node_b.sipward(&["why", PHONE]).1.contains("known"));
    // Its password was changed, and it fails over to the other node.
    let attempt = Attempt::new(ip(PHONE), 5060, "1001");
    for _ in 0..6 {
        node_b.fs.emit(&attempt, Outcome::WrongPassword);
    }
    node_b.fail(ATTACKER, "1000", 5);
    b.expect_that("ban", of(ATTACKERS_NET));
    b.expect_many("auth_failure", 6, seen_at(PHONE));
    blackholes_become(&node_b.host, [ATTACKERS_NET]);
    drop(a);
}

fn without_a_server_the_node_goes_on_alone() {
    let mut fleet = Fleet::without_servers(&["a", "b"], 1);
    let a = fleet.nodes[0].start();
    let told = a.expect("fleet_disconnected");
    assert_eq!(told.field("level"), "WARN");
    fleet.nodes[0].fail(ATTACKER, "1000", 5);
    a.expect_that("ban", of(ATTACKERS_NET));
    let (_, text) = fleet.nodes[0].sipward(&["fleet", "status"]);
    assert!(text.contains("NOT connected"), "{text}");
    // The server comes, and the other node has what was decided meanwhile.
    fleet.start_servers();
    let (status, text) = fleet.nodes[0].sipward(&["fleet", "init", "--replicas", "1"]);
    assert_eq!(status, Some(0), "{text}");
    let again = fleet.nodes[0].sipward(&["fleet", "init", "--replicas", "1"]);
    assert_eq!(again.0, Some(0), "doing it again changes nothing: {}", again.1);
    a.expect("fleet_connected");
    let b = fleet.nodes[1].join();
    b.expect_that("ban", of(ATTACKERS_NET));
}

fn two_nodes_of_one_name_are_told() {
    let mut fleet = Fleet::without_servers(&["same", "same"], 1);
    fleet.start_servers();
    assert_eq!(fleet.nodes[0].sipward(&["fleet", "init", "--replicas", "1"]).0, Some(0));
    let _a = fleet.nodes[0].join();
    let b = fleet.nodes[1].start();
    let told = b.expect("fleet_name_taken");
    assert_eq!(told.text("node"), "fra.same");
}

fn a_dead_leader_of_the_stream_delays_no_ban() {
    let mut fleet = Fleet::new(&["a", "b"], 3);
    let (a, b) = (fleet.nodes[0].join(), fleet.nodes[1].join());
    fleet.kill_leader();
    // Nothing is stored until there is another leader; what is said comes all the same.
    fleet.nodes[0].fail(ATTACKER, "1000", 5);
    a.expect_that("ban", of(ATTACKERS_NET));
    b.expect_that("ban", of(ATTACKERS_NET));
    blackholes_become(&fleet.nodes[1].host, [ATTACKERS_NET]);
    // And it is stored in the end.
    until("it is acknowledged", || fleet.nodes[0].status()["link"]["unacknowledged"] == 0);
}
