//! What FreeSWITCH knows of its own people, and what its dialplan reports.

use sipward_tests::fake_freeswitch::{FakeFreeSwitch, Frame};

use super::kernel::{blackholes, blackholes_become, nets};
use super::nft::sip_bans;
use super::world::{ALL, Family, World, of, seen_at};

super::cases![
    a_gateway_of_freeswitch_stays_in,
    a_host_that_an_access_list_allows_stays_in,
    where_a_phone_is_registered_no_failure_of_others_bans,
    a_phone_with_an_old_password_is_told_and_stays_in,
    a_report_of_the_dialplan_bans_and_one_by_sendevent_does_not,
    a_scanner_is_banned_by_its_name_at_the_first_failure,
];

const ATTACKER: &str = "198.51.100.7";

fn a_gateway_of_freeswitch_stays_in() {
    let gateways = "<gateways>\n  <gateway>\n    <name>carrier</name>\n    \
                    <proxy>sip:198.51.100.7:5080;transport=udp</proxy>\n  </gateway>\n</gateways>\n";
    let fs = FakeFreeSwitch::builder().answer("sofia xmlstatus gateway", gateways);
    let world = World::with(fs);
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    daemon.expect("trunks");

    world.fail(ATTACKER, 10);
    world.fail("198.18.0.4", 5);

    daemon.expect_that("ban", of("198.18.0.4/32"));
    let judged = daemon.expect_many("auth_failure", 10, seen_at(ATTACKER));
    assert!(judged.iter().all(|line| line.text("exempt") == "trunk"), "{}", judged[0].raw);
    assert_eq!(world.attacker_arrives(Family::V4), ALL);
    assert_eq!(world.fs.violations(), [""; 0]);
}

fn a_host_that_an_access_list_allows_stays_in() {
    let fs = FakeFreeSwitch::builder().answer("acl 198.51.100.7 trusted", "true");
    let world = World::with(fs);
    let setup = world.setup("");
    let daemon = world.watch(&setup);

    world.fail(ATTACKER, 10);
    world.fail("198.18.0.4", 5);

    daemon.expect_that("ban", of("198.18.0.4/32"));
    daemon.expect_many("auth_failure", 10, seen_at(ATTACKER));
    // An answer that comes after the threshold lifts the ban at once.
    if daemon.log().all("ban").iter().any(|ban| ban.text("net") == "198.51.100.7/32") {
        let unban = daemon.expect_that("unban", of("198.51.100.7/32"));
        assert_eq!(unban.text("reason"), "exempted");
    }
    blackholes_become(&world.pbx, ["198.18.0.4/32"]);
    assert_eq!(world.attacker_arrives(Family::V4), ALL);
}

fn where_a_phone_is_registered_no_failure_of_others_bans() {
    let phones = r#"{"row_count":1,"rows":[{"reg_user":"1000","realm":"pbx.test","token":"x","url":"sofia/internal/sip:1000@198.51.100.7:5060","expires":"1795338368","network_ip":"198.51.100.7","network_port":"5060","network_proto":"udp","hostname":"fslab","metadata":""}]}"#;
    let fs = FakeFreeSwitch::builder().answer("show registrations as json", phones);
    let world = World::with(fs);
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    assert_eq!(daemon.expect("registrations").number("phones"), Some(1));
    for n in 0..40_u16 {
        let user = ["2001", "2002", "2003", "2004", "2005"][usize::from(n % 5)];
        world.fs.failure(super::world::ip(ATTACKER), 5060 + n, user);
    }

    let insider = daemon.expect_that("alarm", |line| line.text("alarm") == "insider");
    assert_eq!(insider.text("address"), ATTACKER);
    assert_eq!(daemon.expect("slowed").text("address"), ATTACKER);
    daemon.expect_many("auth_failure", 40, seen_at(ATTACKER));
    assert_eq!(blackholes(&world.pbx), nets([]), "a patient forger could have sent these");
}

fn a_phone_with_an_old_password_is_told_and_stays_in() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fs.success(super::world::ip(ATTACKER), 5060, "1000");

    world.fail(ATTACKER, 30);

    let told = daemon.expect("needs_attention");
    assert_eq!((told.text("address"), told.text("user")), (ATTACKER, "1000"));
    daemon.expect_many("auth_failure", 30, seen_at(ATTACKER));
    assert_eq!(blackholes(&world.pbx), nets([]));
    assert_eq!(daemon.log().all("needs_attention").len(), 1, "once a day is enough");
}

fn a_report_of_the_dialplan_bans_and_one_by_sendevent_does_not() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let report = |address: &str, calling: &str| {
        Frame::event_plain(&format!(
            "Event-Subclass: sipward%3A%3Areport\nEvent-Name: CUSTOM\nCore-UUID: {}\n{calling}\
             sipward-address: {address}\nsipward-reason: unauthenticated%20call\n\n",
            world.fs.core_uuid()
        ))
    };
    let forged = "Command: sendevent%20CUSTOM\nEvent-Calling-File: mod_event_socket.c\n";

    let true_one = report(ATTACKER, "Event-Calling-File: mod_dptools.c\n");
    let forged = report("198.51.100.9", forged);
    world.fs.replay_verbatim(&[
        forged.clone(),
        forged.clone(),
        forged,
        true_one.clone(),
        true_one.clone(),
        true_one,
    ]);

    let ban = daemon.expect("ban");
    assert_eq!((ban.text("net"), ban.text("rule")), ("198.51.100.7/32", "report"));
    assert_eq!(ban.text("report"), "unauthenticated call");
    assert_eq!(daemon.expect("event_forged").text("address"), "198.51.100.9");
    // What was forgeable costs the SIP ports and no more.
    assert_eq!(sip_bans(&world.pbx), ["198.51.100.7/32"]);
    assert_eq!(blackholes(&world.pbx), nets([]));
    assert_eq!(world.attacker_arrives(Family::V4), ALL);
}

fn a_scanner_is_banned_by_its_name_at_the_first_failure() {
    use sipward_tests::fake_freeswitch::{Attempt, Outcome};
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let attempt =
        Attempt::new(super::world::ip(ATTACKER), 5060, "1000").user_agent("Friendly-Scanner");

    world.fs.emit(&attempt, Outcome::WrongPassword);

    let ban = daemon.expect("ban");
    assert_eq!((ban.text("rule"), ban.number("failures")), ("user_agents", Some(1)));
}
