//! The API on TCP: sessions and links, how long they last, and delays after failures.

use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use serde_json::json;
use sipward_tests::wait::{PATIENCE, until};
use sipward_tests::web::{Reply, Web, ends_within};

use super::http::{Served, cookie, text, web};

super::cases![
    a_token_and_what_it_opened_end_on_time,
    a_token_becomes_a_session_and_a_log_out_ends_it,
    a_session_changes_nothing_for_a_foreign_page,
    a_link_logs_in_once,
    who_fails_too_often_must_wait_and_harms_nobody_who_may_come_in,
    revoking_a_token_ends_its_sessions_and_its_streams,
];

fn a_token_becomes_a_session_and_a_log_out_ends_it() {
    let served = Served::new();
    let secret = served.token("noc", "write");
    let form = format!("token=%20{secret}%0A&next=%2Fapi%2Fv1%2Fstatus");
    let reply = served.ask(|web| web.browser().form("/login", &form)).expect(303);
    assert_eq!(reply.header("location"), Some("/api/v1/status"));
    let set = reply.header("set-cookie").unwrap();
    for word in ["sipward=", "; Path=/", "; HttpOnly", "; SameSite=Strict", "; Max-Age=43200"] {
        assert!(set.contains(word), "{set}");
    }
    assert!(!set.contains("Secure") && !set.contains("Domain"), "{set}");
    served.daemon.expect_that("logged_in", |line| line.text("name") == "noc");

    let session = cookie(&reply);
    served.ask(|web| web.with("Cookie", &session).get("/api/v1/status")).expect(200);
    let again = served.ask(|web| web.browser().with("Cookie", &session).get("/login")).expect(303);
    assert_eq!(again.header("location"), Some("/"));
    let listed = served.setup.client().get("/tokens").expect(200);
    assert_eq!(listed["items"][0]["sessions"], 1);
    // What was never a session, or is that of TLS.
    for other in ["sipward=x", "__Host-sipward=x", "sipward="] {
        served.ask(|web| web.with("Cookie", other).get("/api/v1/status")).expect(401);
    }

    let out =
        served.ask(|web| web.browser().with("Cookie", &session).form("/logout", "")).expect(303);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    served.ask(|web| web.with("Cookie", &session).get("/api/v1/status")).expect(401);
    let wrong = served.ask(|web| web.browser().form("/login", "token=sipward_0")).expect(401);
    assert!(wrong.body.contains("Unknown token or link"), "{}", wrong.body);
    assert_eq!(wrong.header("set-cookie"), None);
    for elsewhere in ["//evil.example", "https://evil.example/", "%2F%5Cevil.example"] {
        let form = format!("token={secret}&next={elsewhere}");
        let reply = served.ask(|web| web.browser().form("/login", &form)).expect(303);
        assert_eq!(reply.header("location"), Some("/"), "{elsewhere}");
    }
}

fn a_session_changes_nothing_for_a_foreign_page() {
    let served = Served::new();
    let secret = served.token("noc", "write");
    let session = served.session(&secret);
    let ban = json!({ "net": "203.0.113.77" });
    let post = |headers: &[(&str, &str)]| {
        served.ask(|web| {
            let web = web.with("Cookie", &session);
            let web = headers.iter().fold(web, |web, (name, value)| web.with(name, value));
            web.ask("POST", "/api/v1/bans", Some(&ban))
        })
    };
    for foreign in [
        &[][..],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "http://127.0.0.1:8022")],
        &[("Origin", "http://127.0.0.1:9999")],
        &[("Origin", "null")],
    ] {
        let refused = post(foreign).expect(403);
        assert!(refused.body.contains("from the console itself"), "{}", refused.body);
    }
    assert_eq!(served.setup.client().get("/bans").expect(200)["total"], 0);
    post(&[("Origin", "http://127.0.0.1:8022")]).expect(201);
    post(&[("Sec-Fetch-Site", "same-origin")]).expect(201);
    // Nor does a foreign page log a browser in or out.
    let form = format!("token={secret}");
    let foreign = |path: &str| {
        served.ask(|web| {
            web.with("Cookie", &session).with("Sec-Fetch-Site", "cross-site").form(path, &form)
        })
    };
    foreign("/login").expect(403);
    foreign("/logout").expect(403);
    served.ask(|web| web.with("Cookie", &session).get("/api/v1/status")).expect(200);
}

fn a_link_logs_in_once() {
    let served = Served::new();
    let made = served.shell(&["token", "link", "--scope", "write", "--for", "5m"]);
    let made = text(&made.stdout);
    let link = made.lines().next().unwrap();
    let path = link.strip_prefix("http://127.0.0.1:8022").expect(&made);
    assert!(made.contains("opens one session with scope write, once, until"), "{made}");
    // A chat program that looks at the link does not use it up.
    for _ in 0..3 {
        let shown = served.ask(|web| web.browser().get(path)).expect(200);
        assert!(shown.body.contains("name=\"code\""), "{}", shown.body);
    }
    let code = path.split_once("code=").unwrap().1;
    let reply = served.ask(|web| web.browser().form("/login", &format!("code={code}"))).expect(303);
    let session = cookie(&reply);
    served.ask(|web| web.browser().form("/login", &format!("code={code}"))).expect(401);
    served.ask(|web| web.bearer(code).get("/api/v1/status")).expect(401);

    let browser = |web: Web| web.browser().with("Cookie", &session);
    served.ask(|web| browser(web).ask("DELETE", "/api/v1/bans", None)).expect(200);
    let ended = served.shell(&["token", "end-sessions"]);
    assert_eq!(text(&ended.stdout), "1 session ended\n");
    served.ask(|web| web.with("Cookie", &session).get("/api/v1/status")).expect(401);
    for life in ["5s", "2d"] {
        assert_eq!(
            served.shell(&["token", "link", "--for", life]).status.code(),
            Some(2),
            "{life}"
        );
    }
}

fn who_fails_too_often_must_wait_and_harms_nobody_who_may_come_in() {
    let served = Served::new();
    let secret = served.token("noc", "read");
    let session = served.session(&secret);
    for n in 0..10 {
        let reply = match n % 2 {
            0 => served.ask(|web| web.bearer("sipward_guess").get("/api/v1/bans")),
            _ => served.ask(|web| web.browser().form("/login", "token=guess")),
        };
        reply.expect(401);
    }
    served.daemon.expect_many("login_failed", 10, |line| line.text("address") == "127.0.0.1");
    let waits = |reply: Reply| {
        let seconds: u64 = reply.expect(429).header("retry-after").unwrap().parse().unwrap();
        assert!((1..=600).contains(&seconds), "{seconds}");
    };
    waits(served.ask(|web| web.bearer("sipward_guess").get("/metrics")));
    waits(served.ask(|web| web.browser().form("/login", &format!("token={secret}"))));
    // Sessions and tokens go on: 256 bits cannot be found by trying.
    served.ask(|web| web.with("Cookie", &session).get("/api/v1/bans")).expect(200);
    served.ask(|web| web.bearer(&secret).get("/api/v1/bans")).expect(200);
    // Loopback is this host's own: the engine counts the failures, and bans no address.
    served.daemon.expect("refused");
    assert_eq!(served.setup.client().get("/bans").expect(200)["total"], 0);
    let told = served.daemon.log().text().matches("\"login_failed\"").count();
    assert_eq!(told, 10, "who goes on fills no log");
}

fn revoking_a_token_ends_its_sessions_and_its_streams() {
    let served = Served::new();
    let [secret, other] = ["noc", "other"].map(|name| served.token(name, "read"));
    let [session, stays] = [&secret, &other].map(|secret| served.session(secret));
    let events = "/api/v1/events?event=ban";
    let open = |web: Web| served.world.pbx.run(|| web.listen(events));
    let mut streams = [open(web().bearer(&secret)), open(web().with("Cookie", &session))];
    let mut staying = open(web().bearer(&other));

    let revoked = served.setup.client().delete("/tokens/noc").expect(200);

    assert_eq!(revoked["sessions_ended"], 1);
    for stream in &mut streams {
        assert!(ends_within(stream, PATIENCE), "a stream goes on");
    }
    served.ask(|web| web.with("Cookie", &session).get("/api/v1/bans")).expect(401);
    served.ask(|web| web.bearer(&secret).get("/api/v1/bans")).expect(401);
    served.ask(|web| web.with("Cookie", &stays).get("/api/v1/bans")).expect(200);
    served.world.fail("198.51.100.7", 5);
    let mut line = String::new();
    while !line.starts_with("event: ban") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut staying, &mut line).unwrap() > 0, "it ended too");
    }
}

fn a_token_and_what_it_opened_end_on_time() {
    let Served { world, setup, daemon } = Served::new();
    let new = json!({ "name": "brief", "scope": "read", "expires_seconds": 60 });
    let made = setup.client().post("/tokens", &new).expect(201);
    let secret = made["token"].as_str().unwrap();
    daemon.stop();
    // No token is made for less than a minute, which would be long to wait for.
    let soon =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(10);
    let stored = Connection::open(setup.store_file()).unwrap();
    let changed = stored
        .execute("UPDATE tokens SET until = ?1", [i64::try_from(soon.as_micros()).unwrap()])
        .unwrap();
    assert_eq!(changed, 1);
    drop(stored);

    let daemon = world.watch(&setup);
    daemon.expect("http_opened");
    let served = Served { world, setup, daemon };
    let session = served.session(secret);
    let ask = || {
        [web().bearer(secret), web().with("Cookie", &session)]
            .map(|web| served.world.pbx.run(|| web.get("/api/v1/status").status))
    };
    assert_eq!(ask(), [200, 200]);
    until("both are shut out", || ask() == [401, 401]);
}
