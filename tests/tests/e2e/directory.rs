//! Whom FreeSWITCH knows: gateways that come, go and cannot be found, access lists, registrations, profiles; and how
//! soon it is seen again.

use std::time::{Duration, Instant};

use sipward_tests::fake_freeswitch::{Attempt, FakeFreeSwitch, Frame, Outcome, Recording};
use sipward_tests::wait::until;

use super::kernel::{blackholes, nets};
use super::nft::sip_bans;
use super::world::{World, ip, of, seen_at};

super::cases![
    a_gateway_that_a_rescan_adds_is_protected_and_one_that_goes_is_not,
    a_registrar_is_known_by_the_event_that_names_it,
    a_gateway_that_cannot_be_found_is_an_alarm_until_it_can,
    proxies_of_sofia_conf_are_protected_unless_that_is_switched_off,
    networks_of_access_lists_are_exempt_from_every_rule,
    a_list_that_allows_everybody_is_not_used_and_told,
    check_asks_freeswitch_about_its_access_lists_and_does_not_wait_for_it,
    lists_are_followed_after_reloadxml,
    one_odd_row_costs_no_other_phone,
    a_hundred_thousand_phones_are_read_without_much_memory,
    sip_ports_follow_the_running_profiles,
    freeswitch_is_found_again_at_once,
    a_healthy_host_is_named_before_it_is_banned,
    everything_that_is_wrong_is_told_by_one_check,
];

const CARRIER: &str = "198.51.100.7";
const GATEWAYS: &str = "sofia xmlstatus gateway";
const SOFIA: &str = "xml_locate configuration configuration name sofia.conf";
const ACL: &str = "xml_locate configuration configuration name acl.conf";
const LIST: &str = "show registrations as json";

fn gateways(list: &[(&str, &str)]) -> String {
    let rows = list.iter().map(|(name, proxy)| {
        format!("<gateway><name>{name}</name><profile>external</profile><proxy>{proxy}</proxy></gateway>")
    });
    format!("<gateways>{}</gateways>", rows.collect::<String>())
}

/// Recorded events of gateways, of one subclass.
fn gateway_events(subclass: &str) -> Vec<Frame> {
    let recording = Recording::load("scenarios/2-a-gateways-rescan-killgw.plain").unwrap();
    let is_one = |event: &&Frame| event.decoded("Event-Subclass").as_deref() == Some(subclass);
    recording.events().filter(is_one).cloned().collect()
}

fn trunks(line: &sipward_tests::daemon::Line) -> Vec<String> {
    let nets = line.field("nets").as_array().unwrap();
    nets.iter().map(|net| net.as_str().unwrap().to_owned()).collect()
}

fn a_gateway_that_a_rescan_adds_is_protected_and_one_that_goes_is_not() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    daemon.expect_that("trunks", |line| trunks(line).is_empty());

    world.fs.answer(GATEWAYS, &gateways(&[("trunk-ip", &format!("sip:{CARRIER}"))]));
    world.fs.replay(gateway_events("sofia::gateway_add").iter().take(1));
    daemon.expect_that("trunks", |line| trunks(line) == ["198.51.100.7/32"]);
    world.fail(CARRIER, 10);
    let judged = daemon.expect_many("auth_failure", 10, seen_at(CARRIER));
    assert!(judged.iter().all(|line| line.text("exempt") == "trunk"), "{}", judged[0].raw);

    world.fs.answer(GATEWAYS, &gateways(&[]));
    world.fs.replay(gateway_events("sofia::gateway_delete").iter().take(1));
    daemon.expect_many("trunks", 2, |line| trunks(line).is_empty());
    world.fail(CARRIER, 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));
    assert_eq!(world.fs.violations(), [""; 0]);
}

fn a_registrar_is_known_by_the_event_that_names_it() {
    let world = World::with(
        FakeFreeSwitch::builder().answer(GATEWAYS, &gateways(&[("trunk-reg", "sip:192.0.2.77")])),
    );
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    daemon.expect_that("trunks", |line| trunks(line) == ["192.0.2.77/32"]);
    let events = gateway_events("sofia::gateway_state");
    let named = |event: &&Frame| {
        event.decoded("Gateway").as_deref() == Some("trunk-reg")
            && event.decoded("Register-Network-IP").is_some()
    };
    let registrar = events.iter().find(named).expect("a state with a registrar");
    let address = registrar.decoded("Register-Network-IP").unwrap();
    // A gateway that fails says so again and again.
    for _ in 0..5 {
        world.fs.replay([registrar]);
    }
    let told = daemon.expect_that("trunks", |line| trunks(line).len() == 2);
    assert!(trunks(&told).contains(&format!("{address}/32")), "{}", told.raw);
    world.fail("198.18.0.4", 5);
    daemon.expect_that("ban", of("198.18.0.4/32"));
    assert_eq!(daemon.log().all("trunks").len(), 2, "told when it changes");
}

fn a_gateway_that_cannot_be_found_is_an_alarm_until_it_can() {
    let fs = FakeFreeSwitch::builder()
        .answer(GATEWAYS, &gateways(&[("lost", "sip:"), ("good", "sip:192.0.2.77")]));
    let world = World::with(fs);
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let told = daemon.expect("gateway_unprotected");
    assert_eq!(told.text("gateway"), "lost");
    let client = setup.client();
    let alarm = || {
        let alarms = client.get("/alarms").expect(200);
        let all = alarms["items"].as_array().unwrap().clone();
        all.into_iter().find(|alarm| alarm.to_string().contains("gateway_unprotected"))
    };
    until("the alarm", || alarm().is_some());
    world.fs.answer(GATEWAYS, &gateways(&[("lost", "sip:192.0.2.78")]));
    world.fs.replay(gateway_events("sofia::gateway_add").iter().take(1));
    assert_eq!(daemon.expect("gateway_protected").text("gateway"), "lost");
}

fn proxies_of_sofia_conf_are_protected_unless_that_is_switched_off() {
    let conf = "<configuration><profiles><profile name=\"external\"><gateways><gateway name=\"g\">\
        <param name=\"password\" value=\"s3cret-of-the-trunk\"/>\
        <param name=\"outbound-proxy\" value=\"198.51.100.7\"/></gateway></gateways></profile></profiles></configuration>";
    let fs = FakeFreeSwitch::builder()
        .answer(GATEWAYS, &gateways(&[("g", "sip:192.0.2.77")]))
        .answer(SOFIA, conf);
    let world = World::with(fs);
    let setup = world.setup("[log]\nlevel = \"trace\"\n");
    let daemon = world.watch(&setup);
    daemon.expect_that("trunks", |line| trunks(line).contains(&"198.51.100.7/32".to_owned()));
    setup.configure("read_sofia_conf = false\n[log]\nlevel = \"trace\"\n");
    daemon.hang_up();
    daemon.expect_that("reload", |_| true);
    until("the proxy is forgotten", || {
        let last = daemon.log().all("trunks");
        last.last().is_some_and(|line| trunks(line) == ["192.0.2.77/32"])
    });
    assert!(!daemon.stop().log.text().contains("s3cret-of-the-trunk"));
}

fn acl(lists: &str) -> String {
    format!(
        "<configuration name=\"acl.conf\"><network-lists>{lists}</network-lists></configuration>"
    )
}

const PROVIDERS: &str = "<list name=\"providers\" default=\"deny\"><node type=\"allow\" cidr=\"198.51.100.0/24\"/>\
    <node type=\"deny\" cidr=\"198.51.100.99/32\"/></list>";

fn networks_of_access_lists_are_exempt_from_every_rule() {
    let world = World::with(FakeFreeSwitch::builder().answer(ACL, &acl(PROVIDERS)));
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let client = setup.client();
    until("the list is read", || {
        client.get("/healthy/198.51.100.7").expect(200)["hosts"].to_string().contains("acl")
    });
    let report = |address: &str| {
        Frame::event_plain(&format!(
            "Event-Subclass: sipward%3A%3Areport\nEvent-Name: CUSTOM\nCore-UUID: {}\n\
             Event-Calling-File: mod_dptools.c\nsipward-address: {address}\nsipward-reason: x\n\n",
            world.fs.core_uuid()
        ))
    };
    for _ in 0..3 {
        world.fs.replay_verbatim(&[report(CARRIER), report("198.51.100.99")]);
    }
    daemon.expect_that("ban", of("198.51.100.99/32"));
    assert_eq!(sip_bans(&world.pbx), ["198.51.100.99/32"], "a deny node is subtracted");
    assert_eq!(blackholes(&world.pbx), nets([]));
    let asked = world.fs.commands();
    assert!(!asked.iter().any(|command| command.contains("providers")), "the file says all of it");
}

fn a_list_that_allows_everybody_is_not_used_and_told() {
    let everybody = "<list name=\"domains\" default=\"allow\"/>";
    let mut fs = FakeFreeSwitch::builder().answer(ACL, &acl(everybody));
    // `trusted` is not in the file: FreeSWITCH itself accepts addresses that no host can have.
    for address in ["192.0.2.255", "203.0.113.255", "198.19.255.254", "240.0.0.1", CARRIER] {
        fs = fs.answer(&format!("acl {address} trusted"), "true");
        fs = fs.answer(&format!("acl {address} domains"), "true");
    }
    let world = World::with(fs);
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let told = daemon.expect_many("access_list_unused", 2, |_| true);
    let mut names: Vec<&str> = told.iter().map(|line| line.text("list")).collect();
    names.sort_unstable();
    assert_eq!(names, ["domains", "trusted"]);
    world.fail(CARRIER, 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));
    let status = setup.client().get("/status").expect(200);
    assert!(status["alarms"].to_string().contains("access list trusted is not used"), "{status}");
    let doctor = world.pbx.run(|| setup.shell(&["doctor", "--json", "--no-wait"]));
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.contains("its default is `allow`"), "{doctor}");
    assert!(
        doctor.contains("trusted: FreeSWITCH reports that it allows every address"),
        "{doctor}"
    );
    let check = world.pbx.run(|| setup.run("check"));
    let told = String::from_utf8(check.stderr).unwrap();
    assert!(check.status.success(), "a list that is not used is no error: {told}");
    for (list, why) in [
        ("domains", "its default is `allow`"),
        ("trusted", "FreeSWITCH reports that it allows every address"),
    ] {
        let line = format!("warning: access list {list} is not used: {why}; correct it");
        assert!(told.contains(&line), "{line} in {told}");
    }
    assert!(!told.contains("providers"), "{told}");
}

fn check_asks_freeswitch_about_its_access_lists_and_does_not_wait_for_it() {
    let world = World::with(FakeFreeSwitch::builder().answer(ACL, &acl(PROVIDERS)));
    let setup = world.setup("");
    // What it prints, without a warning, and with success whatever becomes of FreeSWITCH.
    let check = || {
        let said = world.pbx.run(|| setup.run("check"));
        let told = String::from_utf8(said.stderr).unwrap();
        assert!(said.status.success() && told.is_empty(), "{told}");
        String::from_utf8(said.stdout).unwrap()
    };
    let said = check();
    assert!(said.contains("password set"), "{said}");
    assert!(said.contains("networks are never banned") && !said.contains("not asked"), "{said}");
    assert_eq!(world.fs.violations(), [""; 0]);

    let not_asked = "access lists not checked, because FreeSWITCH is unavailable (";
    let line =
        |said: &str| said.lines().find(|line| line.starts_with(not_asked)).map(str::to_owned);
    world.fs.expect_password("another");
    let said = check();
    assert!(line(&said).is_some_and(|line| line.contains("refused the password")), "{said}");
    world.fs.stall();
    let said = check();
    assert!(line(&said).is_some_and(|line| line.contains("within 2")), "{said}");
    world.fs.kill().unwrap();
    let said = check();
    assert!(line(&said).is_some(), "{said}");

    let asked = world.fs.connections();
    setup.configure("allow_acl = []\n");
    assert!(line(&check()).is_none(), "no list counts");
    assert_eq!(world.fs.connections(), asked);
}

fn lists_are_followed_after_reloadxml() {
    let world = World::with(FakeFreeSwitch::builder().answer(ACL, &acl("")));
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    daemon.expect("registrations");
    world.fail(CARRIER, 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));
    world.fs.answer(ACL, &acl(PROVIDERS));
    let recording = Recording::load("session/reloadxml").unwrap();
    world.fs.replay(recording.events());
    let unban = daemon.expect_that("unban", of("198.51.100.7/32"));
    assert_eq!(unban.text("reason"), "exempted");
}

fn row(user: u32, address: &str) -> String {
    format!(
        "{{\"reg_user\":\"{user}\",\"realm\":\"pbx.test\",\"token\":\"call-{user}\",\"url\":\"sofia/internal/sip:{user}@\
         {address}:5060;fs_nat=yes;fs_path=sip%3A{user}%40{address}%3A5060\",\"expires\":\"4000000000\",\
         \"network_ip\":\"{address}\",\"network_port\":\"5060\",\"network_proto\":\"udp\",\"hostname\":\"vm\",\
         \"metadata\":\"\"}}"
    )
}

fn one_odd_row_costs_no_other_phone() {
    let rows = [row(1, "203.0.113.5"), row(2, "nowhere"), row(3, "203.0.113.6")].join(",");
    let list = format!("{{\"row_count\":3,\"rows\":[{rows}]}}");
    let world = World::with(FakeFreeSwitch::builder().answer(LIST, &list));
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let told = daemon.expect("registrations");
    assert_eq!(told.number("phones"), Some(2));
    assert!(
        told.text("problem").contains("row 2: 2@pbx.test: network_ip `nowhere`"),
        "{}",
        told.raw
    );
    let healthy = setup.client().get("/healthy/203.0.113.5").expect(200);
    assert_eq!(healthy["hosts"][0]["reason"], "registered");
    assert!(healthy["unknown"].to_string().contains("registrations"), "{healthy}");
}

fn a_hundred_thousand_phones_are_read_without_much_memory() {
    const PHONES: u32 = 100_000;
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    daemon.expect("registrations");
    let before = daemon.resident_bytes();
    let rows: Vec<String> = (0..PHONES)
        .map(|n| row(n, &std::net::Ipv4Addr::from(0x0b00_0000 + n).to_string()))
        .collect();
    let list = format!("{{\"row_count\":{PHONES},\"rows\":[{}]}}", rows.join(","));
    assert!(list.len() > 16 * 1024 * 1024, "larger than any answer that is held");
    world.fs.answer(LIST, &list);
    world.fs.drop_mid_frame();
    let patience = std::time::Duration::from_secs(120);
    let told = daemon
        .expect_within(patience, "registrations", |line| line.number("phones") == Some(100_000));
    assert!(told.field("problem").is_null(), "{}", told.raw);
    let more = daemon.resident_bytes().saturating_sub(before);
    eprintln!("{more} bytes more");
    // The shield holds each of these hosts too, and what of it is on the way to the kernel (docs/PERFORMANCE.md).
    assert!(more < 64 << 20, "{more} bytes more");
    assert!(
        setup.client().get("/healthy/11.1.134.159").expect(200)["unknown"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    // Events and bans go on while the list is read again.
    world.fs.drop_mid_frame();
    daemon.expect_many("esl_connected", 3, |_| true);
    let lists = || daemon.log().all("registrations").len();
    let (before, mut attackers) = (lists(), 0);
    while lists() == before && attackers < 500 {
        // Each in a /24 of its own, which no rule bans as a whole.
        world.fail(&format!("198.{}.{}.4", 18 + attackers / 256, attackers % 256), 5);
        attackers += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    let bans = daemon.expect_many("ban", attackers, |_| true);
    let mut times: Vec<u64> =
        bans.iter().map(|ban| ban.number("event_to_route_us").unwrap()).collect();
    times.sort_unstable();
    // A debug build beside other tests: the bench `registrations` measures.
    eprintln!(
        "{attackers} bans while the list was read: event to route {} us, at most {} us",
        times[times.len() / 2],
        times[times.len() - 1]
    );
}

fn sip_ports_follow_the_running_profiles() {
    let running =
        "<profiles><profile><name>internal</name><state>RUNNING (0)</state></profile></profiles>";
    let profile = |port: u16| {
        format!(
            "<profile><profile-info><name>internal</name><bind-url>sip:mod_sofia@192.0.2.1:{port};transport=udp,tcp\
             </bind-url><wss-bind-url>sips:mod_sofia@192.0.2.1:7443;transport=wss</wss-bind-url>\
             <max-recv-rps>1000</max-recv-rps></profile-info></profile>"
        )
    };
    let fs = FakeFreeSwitch::builder()
        .answer("sofia xmlstatus", running)
        .answer("sofia xmlstatus profile internal", &profile(5070));
    let world = World::with(fs);
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let ports = |line: &sipward_tests::daemon::Line| line.field("ports").to_string();
    daemon.expect_that("sip_ports", |line| ports(line) == "[5070,7443]");
    world.fs.answer("sofia xmlstatus profile internal", &profile(5062));
    let recording = Recording::load("session/sofia-profile-restart").unwrap();
    let starts =
        |event: &&Frame| event.decoded("Event-Subclass").as_deref() == Some("sofia::profile_start");
    world.fs.replay(recording.events().filter(starts));
    daemon.expect_that("sip_ports", |line| ports(line) == "[5062,7443]");
    let doctor = world.pbx.run(|| setup.shell(&["doctor", "--json", "--no-wait"]));
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    assert!(
        doctor.contains("internal: udp 5062, tcp 5062, wss 7443; accepts 1000 requests a second"),
        "{doctor}"
    );
}

fn freeswitch_is_found_again_at_once() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let mut slowest = Duration::ZERO;
    for n in 1..=10 {
        world.fs.kill().unwrap();
        daemon.expect_many("esl_disconnected", n, |_| true);
        // FreeSWITCH stays down for an attempt or two.
        std::thread::sleep(Duration::from_millis(600));
        world.fs.boot().unwrap();
        let back = Instant::now();
        daemon.expect_many("esl_connected", n + 1, |_| true);
        slowest = slowest.max(back.elapsed());
    }
    eprintln!("slowest of ten: {slowest:?}");
    let waits = daemon.log().all("esl_disconnected");
    assert!(waits.iter().all(|line| line.field("retry_in_seconds").as_f64() == Some(0.25)));
    daemon.expect_many("esl_blind", 10, |_| true);
}

fn a_healthy_host_is_named_before_it_is_banned() {
    let world = World::new();
    let setup = world.setup("allow = [\"203.0.113.0/24\"]\n");
    let daemon = world.watch(&setup);
    daemon.expect("registrations");
    world.fs.emit(&Attempt::new(ip("203.0.113.5"), 5060, "1000"), Outcome::Registered);
    until("the phone is seen", || {
        setup.client().get("/healthy/203.0.113.5").expect(200).to_string().contains("registered")
    });
    let said = setup.shell(&["ban", "203.0.113.5", "--for", "1m"]);
    assert!(said.status.success());
    let named = String::from_utf8(said.stderr).unwrap();
    assert!(named.contains("1 user is registered there now"), "{named}");
    assert!(named.contains("it is on the allow list"), "{named}");
    let said = setup.shell(&["ban", "198.51.100.7", "--for", "1m"]);
    assert_eq!(String::from_utf8(said.stderr).unwrap(), "", "a stranger needs no word");
    daemon.expect_that("ban", of("198.51.100.7/32"));
}

fn everything_that_is_wrong_is_told_by_one_check() {
    let setup = super::world::setup_without_credentials(
        "alow = []\nmode = \"bann\"\n[geo]\nfiles = [\"/nowhere.mmdb\"]\n",
    );
    let setup = setup.env("ESL_HOST", "tcp://127.0.0.1:8021").env("ESL_PORT", "x");
    let said = setup.run("check");
    assert!(!said.status.success());
    let told = String::from_utf8(said.stderr).unwrap();
    for part in [
        "did you mean `allow`",
        "bann",
        "/nowhere.mmdb",
        "write ESL_HOST=127.0.0.1 and ESL_PORT=8021",
        "ESL_PORT",
        "no Event Socket password",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let setup = super::world::setup_without_credentials("").env("ESL_HOST", "127.0.0.1:8021");
    let setup = setup.env("ESL_PASSWORD", "x");
    let ran = setup.run("run");
    assert!(!ran.status.success(), "it would never connect");
    assert!(String::from_utf8(ran.stderr).unwrap().contains("ESL_PORT=8021"));
}
