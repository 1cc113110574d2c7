//! The data of the console beside bans: series, accounts under attack, alarms.

use serde_json::{Value, json};
use sipward_tests::http::Client;
use sipward_tests::wait::until;

use super::http::Served;
use super::world::{World, ip, seen_at};

super::cases![
    bans_and_failures_are_counted_by_the_minute,
    what_was_counted_before_a_restart_is_counted_after_it,
    a_lost_connection_is_an_alarm_until_the_next_one,
    a_guessed_password_is_the_first_alarm,
    an_alarm_is_acknowledged_and_stays_so_after_a_restart,
    accounts_under_attack_are_told_with_their_sources,
    a_healthy_phone_that_fails_is_told_beside_the_attacked,
    the_most_frequent_are_told_by_source_user_and_user_agent,
    whom_forged_packets_name_is_no_attacker,
    one_field_finds_addresses_networks_and_users,
    status_has_the_numbers_of_a_jail,
    without_files_of_locations_the_overview_says_how_to_get_them,
];

const ATTACKER: &str = "198.51.100.7";

/// Waits until an answer is as it should be: what is counted comes a moment after what is reported.
pub(super) fn get_until(client: &Client, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    until(path, || {
        let body = client.get(path).expect(200);
        if is_so(&body) { Ok(body) } else { Err(format!("{body:#}")) }
    })
}

fn sum(series: &Value, field: &str) -> u64 {
    let buckets = series["buckets"].as_array().expect("buckets");
    buckets.iter().map(|bucket| bucket[field].as_u64().expect("a number")).sum()
}

fn bans_and_failures_are_counted_by_the_minute() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail(ATTACKER, 5);
    daemon.expect("ban");
    let _ = setup.client().delete("/bans").expect(200);

    let series = get_until(&setup.client(), "/series", |series| sum(series, "unbans") == 1);

    assert_eq!(series["range"], "hour");
    assert_eq!(series["bucket_seconds"], 60);
    assert_eq!(series["buckets"].as_array().unwrap().len(), 60);
    assert_eq!((sum(&series, "failures"), sum(&series, "bans")), (5, 1));
    let by_grade: u64 = series["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bucket| bucket["failures_by_grade"]["answered"].as_u64().unwrap())
        .sum();
    assert_eq!(by_grade, 5);
    for (range, seconds, buckets) in [("day", 900, 96), ("week", 3_600, 168), ("month", 86_400, 30)]
    {
        let series = setup.client().get(&format!("/series?range={range}")).expect(200);
        assert_eq!(series["buckets"].as_array().unwrap().len(), buckets);
        assert_eq!(series["bucket_seconds"], seconds);
        assert_eq!((sum(&series, "failures"), sum(&series, "bans")), (5, 1));
    }
    assert_eq!(setup.client().get("/series?range=year").status, 422);
}

fn what_was_counted_before_a_restart_is_counted_after_it() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail(ATTACKER, 5);
    daemon.expect("ban");
    let client = setup.client();
    let day = get_until(&client, "/series?range=day", |series| sum(series, "bans") == 1);
    daemon.stop();
    let _daemon = world.watch(&setup);

    for range in ["day", "week", "month"] {
        let path = format!("/series?range={range}");
        let series = get_until(&client, &path, |series| sum(series, "bans") == 1);
        assert_eq!(sum(&series, "failures"), 5, "{range}");
        let since = |field: &str| series[field].as_str().unwrap().to_owned();
        assert!(since("failures_since").as_str() <= day["failures_since"].as_str().unwrap());
        assert!(since("decisions_since") < since("failures_since"), "{series:#}");
    }
}

fn a_lost_connection_is_an_alarm_until_the_next_one() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let client = setup.client();
    assert_eq!(get_until(&client, "/alarms", |alarms| alarms["state"] == "ok")["items"], json!([]));

    world.fs.kill().unwrap();
    daemon.expect("esl_disconnected");
    let alarms = get_until(&client, "/alarms", |alarms| {
        alarms["state"] == "alarm" && alarms["items"][0]["data"]["error"].is_string()
    });
    let alarm = &alarms["items"][0];
    assert_eq!((&alarm["kind"], &alarm["standing"]), (&json!("esl_disconnected"), &json!(true)));
    assert!(alarm["text"].as_str().unwrap().starts_with("no FreeSWITCH"), "{alarm:#}");
    let status = client.get("/status").expect(200);
    assert_eq!(status["alarms"]["state"], "alarm");
    assert!(status["alarms"]["texts"][0].as_str().unwrap().starts_with("no FreeSWITCH"));

    world.fs.boot().unwrap();
    let alarms = get_until(&client, "/alarms", |alarms| alarms["state"] == "ok");
    let alarm = &alarms["items"][0];
    assert_eq!(alarm["standing"], false);
    assert!(alarm["ended"].is_string(), "{alarm:#}");
}

fn a_guessed_password_is_the_first_alarm() {
    let served = Served::new();
    let (fs, daemon) = (&served.world.fs, &served.daemon);
    let text = "user 1003 logged in from new address 198.51.100.7 after 4 failures there: the password may \
                have been guessed";
    for _ in 0..4 {
        fs.failure(ip(ATTACKER), 5060, "1003");
    }
    fs.success(ip(ATTACKER), 5060, "1003");
    let guessed = daemon.expect_that("alarm", |line| line.text("alarm") == "guessed");
    assert_eq!((guessed.text("address"), guessed.text("user")), (ATTACKER, "1003"));
    assert_eq!((guessed.number("failures"), guessed.number("strangers")), (Some(4), Some(0)));
    // A later alarm does not take its place.
    for n in 0..120 {
        fs.blind_spoof(ip(&format!("203.0.113.{n}")));
    }
    daemon.expect_that("alarm", |line| line.text("alarm") == "spoofing");

    let client = served.setup.client();
    let alarms =
        get_until(&client, "/alarms", |alarms| alarms["items"].as_array().unwrap().len() > 1);
    assert_eq!(alarms["state"], "alarm");
    let guessed = &alarms["items"][1];
    assert_eq!((&guessed["kind"], &guessed["counts"]), (&json!("guessed"), &json!(true)));
    assert!(guessed["text"].as_str().unwrap().ends_with(text), "{guessed:#}");
    let counted = client.get("/status").expect(200);
    assert!(counted["alarms"]["texts"].to_string().contains(text), "{counted:#}");
    let token = served.token("prometheus", "read");
    let metrics = served.ask(|web| web.bearer(&token).get("/metrics")).expect(200).body;
    assert!(metrics.contains("sipward_alarms_total{alarm=\"guessed\"} 1\n"), "{metrics}");
    let session = served.session(&token);
    let page = served.ask(|web| web.browser().with("Cookie", &session).get("/")).expect(200).body;
    let place = |words: &str| page.find(words).unwrap_or_else(|| panic!("{words}: {page}"));
    assert!(place(text) < place("forgeable failures within a minute"));
}

fn an_alarm_is_acknowledged_and_stays_so_after_a_restart() {
    let mut served = Served::new();
    let guess = |served: &Served| {
        for _ in 0..4 {
            served.world.fs.failure(ip(ATTACKER), 5060, "1003");
        }
        served.world.fs.success(ip(ATTACKER), 5060, "1003");
        served.daemon.expect_that("alarm", |line| line.text("alarm") == "guessed");
    };
    guess(&served);
    let client = served.setup.client();
    let raised = get_until(&client, "/alarms", |alarms| alarms["state"] == "alarm");
    assert_eq!(raised["items"][0]["about"], "1003");

    // Nobody has seen it yet, so it counts after a restart, too.
    served.daemon.stop();
    served.daemon = served.world.watch(&served.setup);
    served.daemon.expect("http_opened");
    let again = client.get("/alarms").expect(200);
    assert_eq!(again["state"], "alarm");
    for field in ["kind", "about", "text", "since", "at", "times", "counts"] {
        assert_eq!(again["items"][0][field], raised["items"][0][field], "{field}");
    }
    assert_eq!(again["items"][0]["data"]["user"], "1003");
    let reader = served.token("looks", "read");
    let refused =
        served.ask(|web| web.bearer(&reader).ask("POST", "/api/v1/alarms/guessed/ack", None));
    assert_eq!(refused.status, 403);
    assert_eq!(client.post("/alarms/nothing/ack", &json!({})).wrong_fields(), ["kind"]);
    assert_eq!(client.post("/alarms/guessed/ack?about=1004", &json!({})).status, 404);

    let session = served.session(&served.token("anna", "write"));
    let page = |served: &Served| {
        served.ask(|web| web.browser().with("Cookie", &session).get("/")).expect(200).body
    };
    assert!(page(&served).contains("action=\"/alarms/ack\""));
    let fields = "kind=guessed&about=1003";
    let done = served
        .ask(|web| web.browser().with("Cookie", &session).form("/alarms/ack", fields))
        .expect(303);
    assert_eq!(done.header("location"), Some("/#alarms"));
    served.daemon.expect_that("changed", |line| line.text("path") == "/alarms/ack");
    let alarms = client.get("/alarms").expect(200);
    assert_eq!((&alarms["state"], &alarms["items"][0]["counts"]), (&json!("ok"), &json!(false)));
    assert_eq!(alarms["items"][0]["acknowledged"]["name"], "anna");
    assert!(!page(&served).contains("action=\"/alarms/ack\""), "nothing is left to do");

    served.daemon.stop();
    served.daemon = served.world.watch(&served.setup);
    served.daemon.expect("http_opened");
    let alarms = client.get("/alarms").expect(200);
    let kept = &alarms["items"][0];
    assert_eq!((&alarms["state"], &kept["kind"]), (&json!("ok"), &json!("guessed")));
    assert_eq!(kept["acknowledged"]["name"], "anna");
    assert!(kept["text"].as_str().unwrap().contains("may have been guessed"), "{kept:#}");
}

fn accounts_under_attack_are_told_with_their_sources() {
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 4\n");
    let daemon = world.watch(&setup);
    world.fail(ATTACKER, 4);
    daemon.expect("ban");
    world.fail("198.18.0.4", 2);
    daemon.expect_many("auth_failure", 2, seen_at("198.18.0.4"));

    let page = get_until(&setup.client(), "/users", |page| page["items"][0]["failures"] == 6);

    assert_eq!(page["total"], 1);
    assert_eq!(page["next"], Value::Null);
    let user = &page["items"][0];
    assert_eq!(
        (&user["user"], &user["sources"], &user["proved"]),
        (&json!("1000"), &json!(2), &json!(6))
    );
    assert_eq!(
        user["top_sources"],
        json!([
            { "address": ATTACKER, "failures": 4, "banned": true },
            { "address": "198.18.0.4", "failures": 2, "banned": false },
        ])
    );
    assert_eq!(user["profiles"], json!(["internal"]));
    assert_eq!(page["memory"]["failures"], 6);
    assert_eq!(setup.client().get("/users?search=nobody").expect(200)["total"], 0);
    assert_eq!(setup.client().get("/users?cursor=x").wrong_fields(), ["cursor"]);
}

fn a_healthy_phone_that_fails_is_told_beside_the_attacked() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fs.success(super::world::ip(ATTACKER), 5060, "1000");
    world.fail(ATTACKER, 3);
    daemon.expect("needs_attention");

    let page = get_until(&setup.client(), "/users", |page| page["attention"][0]["failures"] == 3);

    let phone = &page["attention"][0];
    assert_eq!((&phone["user"], &phone["address"]), (&json!("1000"), &json!(ATTACKER)));
    assert_eq!(phone["banned"], false);
    assert!(phone["last_success"].as_str() <= phone["told"].as_str(), "{phone:#}");
    assert_eq!(page["attention_total"], 1);
}

fn the_most_frequent_are_told_by_source_user_and_user_agent() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail(ATTACKER, 5);
    daemon.expect("ban");
    world.fail("198.18.0.4", 1);
    daemon.expect_that("auth_failure", seen_at("198.18.0.4"));
    let client = setup.client();

    let sources = get_until(&client, "/top?limit=1", |top| top["memory"]["failures"] == 6);

    assert_eq!((&sources["by"], &sources["total"]), (&json!("address"), &json!(2)));
    let first = &sources["items"][0];
    assert_eq!((&first["name"], &first["failures"]), (&json!(ATTACKER), &json!(5)));
    assert_eq!((&first["counted"], &first["proved"]), (&json!(5), &json!(5)));
    assert_eq!((&first["users"], &first["sources"]), (&json!(1), &Value::Null));
    assert_eq!(first["banned"], true);
    let agents = client.get("/top?by=user_agent").expect(200);
    let first = &agents["items"][0];
    assert_eq!((&first["name"], &first["sources"]), (&json!("pytest/1.0"), &json!(2)));
    assert_eq!(first["banned"], Value::Null);
    assert_eq!(client.get("/top?by=user").expect(200)["items"][0]["name"], "1000");
    assert_eq!(client.get("/top?limit=0").wrong_fields(), ["limit"]);
}

fn whom_forged_packets_name_is_no_attacker() {
    let served = Served::new();
    for _ in 0..9 {
        served.world.fs.blind_spoof(ip("203.0.113.5"));
    }
    served.world.fail(ATTACKER, 2);
    served.daemon.expect_many("auth_failure", 2, |line| line.text("address") == ATTACKER);
    let client = served.setup.client();
    let names = |path: &str| {
        let top = get_until(&client, path, |top| top["memory"]["failures"] == 11);
        let names = top["items"].as_array().unwrap().iter().map(|item| item["name"].clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names("/top"), [ATTACKER, "203.0.113.5"]);
    assert_eq!(names("/top?only=counted"), [ATTACKER]);
    assert_eq!(names("/top?only=forgeable"), ["203.0.113.5"]);
    let session = served.session(&served.token("noc", "write"));
    let page = served.ask(|web| web.browser().with("Cookie", &session).get("/")).expect(200).body;
    let after = |words: &str| page.split_once(words).unwrap_or_else(|| panic!("{words}: {page}")).1;
    let attackers = after("id=\"sources\"").split_once("</section>").unwrap().0;
    assert!(attackers.contains(ATTACKER) && !attackers.contains("203.0.113.5"), "{attackers}");
    let forged = after("id=\"forged\"").split_once("</section>").unwrap().0;
    assert!(forged.contains("203.0.113.5") && !forged.contains("<button"), "{forged}");
}

fn one_field_finds_addresses_networks_and_users() {
    let served = Served::new();
    served.world.fail(ATTACKER, 5);
    served.daemon.expect("ban");
    get_until(&served.setup.client(), "/users", |page| page["total"] == 1);
    let session = served.session(&served.token("noc", "read"));
    let find = |text: &str| {
        served.ask(|web| web.browser().with("Cookie", &session).get(&format!("/search?q={text}")))
    };
    assert_eq!(find(ATTACKER).expect(303).header("location"), Some("/sources/198.51.100.7"));
    let net = find("198.51.100.0%2F24").expect(303);
    assert_eq!(net.header("location"), Some("/bans?q=198.51.100.0%2F24"));
    let page = find("1000").expect(200).body;
    assert!(
        page.contains("1 user under attack") && page.contains("href=\"/sources/198.51.100.7\""),
        "{page}"
    );
    let none = find("%3Cb%3E").expect(200).body;
    assert!(none.contains("&lt;b&gt;") && none.contains("0 bans"), "{none}");
    assert!(page.contains("action=\"/search\""), "the field is on every page");
}

fn status_has_the_numbers_of_a_jail() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail(ATTACKER, 5);
    daemon.expect("ban");
    world.fail("198.18.0.4", 2);
    let jail = |status: &Value| {
        let number = |path: &str| status.pointer(path).unwrap().as_u64().unwrap();
        // Currently failed, total failed, currently banned, total banned.
        [
            number("/failed_now/sources"),
            number("/failed_now/failures"),
            number("/totals/failures"),
            number("/bans/active"),
            number("/totals/bans"),
        ]
    };
    let status = get_until(&setup.client(), "/status", |status| jail(status) == [2, 7, 7, 1, 1]);
    assert_eq!(status["failed_now"]["at_least"], false);
}

fn without_files_of_locations_the_overview_says_how_to_get_them() {
    let served = Served::new();
    served.world.fail(ATTACKER, 5);
    served.daemon.expect("ban");
    let token = served.token("noc", "read");
    let page = |path: &str| {
        served.ask(|web| web.bearer(&token).with("Accept", "text/html").get(path)).expect(200).body
    };

    let overview = page("/?range=month");
    assert!(overview.contains("No file says where addresses are"), "{overview}");
    assert!(overview.contains("dbip-asn-lite.mmdb") && !overview.contains("class=\"map\""));
    assert!(overview.contains("In the last 30 days (UTC):"), "{overview}");
    let bans = page("/bans");
    assert!(bans.contains(ATTACKER) && !bans.contains("Network (AS)</"), "{bans}");
}
