//! The control socket: bans by hand, and what is listed of them.

use serde_json::{Value, json};

use super::api::each;
use super::kernel::{blackholes, nets};
use super::world::{ALL, Family, GATEWAYS, NONE, World, of, seen_at};
use sipward_tests::wait::until;

super::cases![
    a_ban_by_hand_is_in_the_kernel_when_it_is_answered,
    a_ban_by_hand_ends_when_it_was_told_to,
    a_permanent_ban_outlives_a_restart,
    a_ban_that_would_cover_a_protected_address_is_refused_with_the_reason,
    force_overrides_all_but_own_addresses,
    unbanning_an_address_splits_the_banned_net_around_it,
    unbanning_forgets_the_counted_failures,
    unbanning_all_lets_everybody_in,
    bans_are_filtered_sorted_and_paged,
];

fn a_ban_by_hand_is_in_the_kernel_when_it_is_answered() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    for family in [Family::V4, Family::V6] {
        let new = json!({ "net": family.attacker(), "reason": "rang at night" });
        let answer = setup.client().post("/bans", &new);
        let place = answer.head.clone();
        let made = answer.expect(201);

        assert_eq!(world.attacker_arrives(family), NONE);
        assert_eq!(made["ban"]["state"], "enforced", "{made:#}");
        assert_eq!(made["ban"]["origin"], "manual");
        assert_eq!(made["ban"]["cause"]["by"], "manual");
        assert_eq!(made["ban"]["cause"]["comment"], "rang at night");
        assert_eq!(made["store"]["state"], "ok");
        let net = made["ban"]["net"].as_str().unwrap().replace('/', "%2F");
        assert!(
            place.contains(&format!("location: /api/v1/bans/{}", net.to_lowercase())),
            "{place}"
        );
        let shown = setup.client().get(&format!("/bans/{net}")).expect(200);
        assert_eq!(shown["net"], made["ban"]["net"]);
        let lifted = setup.client().delete(&format!("/bans/{net}")).expect(200);
        assert_eq!(lifted["count"], 1);
        world.attacker_is_let_in(family);
        assert_eq!(setup.client().get(&format!("/bans/{net}")).status, 404);
    }
}

fn a_ban_by_hand_ends_when_it_was_told_to() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let new = json!({ "net": "198.51.100.7", "ban_time_seconds": 1 });
    setup.client().post("/bans", &new).expect(201);
    assert_eq!(daemon.expect("unban").text("reason"), "expired");
    until("the route is gone", || blackholes(&world.pbx).is_empty());
}

fn a_permanent_ban_outlives_a_restart() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let new = json!({ "net": "198.51.100.7", "permanent": true, "reason": "for good" });
    let made = setup.client().post("/bans", &new).expect(201);
    assert_eq!(made["ban"]["until"], Value::Null);
    assert_eq!(made["ban"]["remaining_seconds"], Value::Null);
    // Without a word, right after the answer: it was durable by then.
    daemon.kill();

    let _again = world.watch(&setup);

    let ban = setup.client().get("/bans/198.51.100.7").expect(200);
    assert_eq!(ban["until"], Value::Null);
    assert_eq!(ban["cause"]["comment"], "for good");
    assert_eq!(ban["since"], made["ban"]["since"]);
}

fn a_ban_that_would_cover_a_protected_address_is_refused_with_the_reason() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let client = setup.client();
    for (new, reason, class) in [
        (json!({ "net": "127.0.0.1" }), "exempt", Some("own")),
        (json!({ "net": Family::V4.pbx() }), "exempt", Some("own")),
        (json!({ "net": Family::V6.pbx() }), "exempt", Some("own")),
        (json!({ "net": GATEWAYS[0] }), "exempt", Some("gateway")),
        (json!({ "net": GATEWAYS[1] }), "exempt", Some("gateway")),
        (json!({ "net": "203.0.0.0/15" }), "too_wide", None),
        (json!({ "net": "2001:4860::/31" }), "too_wide", None),
        // No override would let it cover this host.
        (json!({ "net": "2001:db8::/31" }), "exempt", Some("own")),
        (json!({ "net": "fe80:0:0:1::/64" }), "link_local", None),
        (json!({ "net": "203.0.113.0/24", "spare": ["203.0.113.5"] }), "spared", None),
        (json!({ "net": "203.0.113.5", "spare": ["::ffff:203.0.113.5"] }), "spared", None),
    ] {
        let problem = client.post("/bans", &new);
        assert!(problem.head.contains("application/problem+json"), "{}", problem.head);
        let problem = problem.expect(409);
        assert_eq!(problem["refusal"]["reason"], reason, "{new}: {problem:#}");
        assert_eq!(problem["refusal"]["class"], json!(class), "{new}: {problem:#}");
        let own = class == Some("own");
        assert_eq!(problem["refusal"]["force_overrides"], !own, "{new}: {problem:#}");
    }
    assert_eq!(client.get("/bans").expect(200)["total"], 0);
    assert_eq!(blackholes(&world.pbx), nets([]));
    // The same again is no second ban.
    client.post("/bans", &json!({ "net": "203.0.113.0/24", "permanent": true })).expect(201);
    let problem = client.post("/bans", &json!({ "net": "203.0.113.5" })).expect(409);
    assert_eq!(problem["refusal"]["reason"], "covered");
    assert_eq!(problem["refusal"]["prevented_by"], "203.0.113.0/24");
}

fn force_overrides_all_but_own_addresses() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let client = setup.client();
    let forced = |net: &str| json!({ "net": net, "force": true, "spare": ["203.0.113.5"] });
    for net in ["203.0.113.0/24", "10.0.0.0/8"] {
        let made = client.post("/bans", &forced(net)).expect(201);
        assert_eq!(made["ban"]["origin"], "forced");
    }
    for net in ["127.0.0.1", "192.0.2.0/24", "0.0.0.0/0", "::1"] {
        let problem = client.post("/bans", &forced(net)).expect(409);
        assert_eq!(problem["refusal"]["class"], "own", "{net}");
    }
}

fn unbanning_an_address_splits_the_banned_net_around_it() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let client = setup.client();
    client.post("/bans", &json!({ "net": "198.51.100.0/29" })).expect(201);
    assert_eq!(world.attacker_arrives(Family::V4), NONE);

    let done = client.delete("/bans/198.51.100.7").expect(200);

    assert_eq!(done["count"], 1);
    assert_eq!(done["ended"], json!(["198.51.100.0/29"]));
    assert_eq!(done["left"], json!(["198.51.100.0/30", "198.51.100.4/31", "198.51.100.6/32"]));
    let left = nets(["198.51.100.0/30", "198.51.100.4/31", "198.51.100.6/32"]);
    until("the routes of what is left", || blackholes(&world.pbx) == left);
    assert_eq!(world.attacker_arrives(Family::V4), ALL);
    let piece = client.get("/bans/198.51.100.4%2F31").expect(200);
    assert_eq!(piece["cause"]["split_of"], "198.51.100.0/29");
    assert_eq!(piece["cause"]["by"], "manual");
}

fn unbanning_forgets_the_counted_failures() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 4);
    daemon.expect_many("auth_failure", 4, seen_at("198.51.100.7"));

    let done = setup.client().delete("/bans/198.51.100.7").expect(200);

    assert_eq!(done["count"], 0, "nobody was banned, which is no error");
    world.fail("198.51.100.7", 1);
    let judged = daemon.expect_many("auth_failure", 5, seen_at("198.51.100.7")).pop().unwrap();
    assert_eq!(judged.number("failures"), Some(1));
}

fn unbanning_all_lets_everybody_in() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    for n in 0..30 {
        world.fail(&format!("198.18.0.{n}"), 5);
    }
    world.fail(Family::V6.attacker(), 5);
    daemon.expect_many("ban", 31, |_| true);
    world.fail("198.51.100.7", 4);
    daemon.expect_many("auth_failure", 4, seen_at("198.51.100.7"));

    let done = setup.client().delete("/bans").expect(200);

    assert_eq!(done["count"], 31);
    assert_eq!(done["ended"].as_array().unwrap().len(), 31);
    until("the routes are gone", || blackholes(&world.pbx).is_empty());
    assert_eq!(setup.client().get("/bans").expect(200)["total"], 0);
    world.fail("198.51.100.7", 1);
    let judged = daemon.expect_many("auth_failure", 5, seen_at("198.51.100.7")).pop().unwrap();
    assert_eq!(judged.number("failures"), Some(1), "counted failures are forgotten too");
}

fn bans_are_filtered_sorted_and_paged() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let client = setup.client();
    for n in 0..7 {
        let new = json!({ "net": format!("203.0.113.{n}"), "ban_time_seconds": 9_000 - n * 100 });
        client.post("/bans", &new).expect(201);
    }
    client.post("/bans", &json!({ "net": "2001:db8:7::/48", "permanent": true })).expect(201);
    world.fail("198.51.100.7", 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));

    for limit in [1, 2, 3, 8, 9, 1000] {
        for (sort, first, last) in [
            ("sort=net", "198.51.100.7/32", "2001:db8:7::/48"),
            ("sort=net&order=desc", "2001:db8:7::/48", "198.51.100.7/32"),
            ("sort=since", "203.0.113.0/32", "198.51.100.7/32"),
            ("sort=until", "198.51.100.7/32", "2001:db8:7::/48"),
            ("sort=until&order=desc", "2001:db8:7::/48", "198.51.100.7/32"),
        ] {
            let (mut all, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = client.get(&format!("/bans?{sort}&limit={limit}{cursor}")).expect(200);
                assert_eq!(page["total"], 9);
                let nets = each(&page, "net");
                assert!(nets.len() <= limit);
                all.extend(nets);
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={}", next.replace('/', "%2F")),
                    None => break,
                }
            }
            assert_eq!(all.len(), 9, "{sort} by {limit}: {all:?}");
            assert_eq!((all[0].as_str(), all[8].as_str()), (first, last), "{sort} by {limit}");
        }
    }
    let filtered = |query: &str| each(&client.get(&format!("/bans?{query}")).expect(200), "net");
    assert_eq!(filtered("origin=automatic"), ["198.51.100.7/32"]);
    assert_eq!(filtered("rule=failures"), ["198.51.100.7/32"]);
    assert_eq!(filtered("rule=users"), [""; 0]);
    assert_eq!(filtered("covering=2001:db8:7::9"), ["2001:db8:7::/48"]);
    assert_eq!(filtered("inside=203.0.113.4/31"), ["203.0.113.4/32", "203.0.113.5/32"]);
    assert_eq!(filtered("state=failed"), [""; 0]);
    assert_eq!(filtered("state=enforced").len(), 9);
}
