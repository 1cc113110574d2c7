//! The API on TCP: who may use it, by token, by session, by link.

use std::fs;
use std::net::SocketAddr;
use std::process::Output;

use serde_json::{Value, json};
use sipward_tests::daemon::{Daemon, PATIENCE, Setup};
use sipward_tests::http::Client;
use sipward_tests::web::{Reply, Web, ends_within};

use super::world::{World, of};

super::cases![
    nothing_but_healthz_and_the_login_answers_without_a_token,
    a_token_is_made_listed_and_revoked_by_the_command_line,
    a_token_outlives_a_restart_and_its_secret_is_stored_nowhere,
    a_token_in_a_store_in_memory_says_that_it_ends_with_the_daemon,
    a_read_token_looks_and_tries_and_a_write_token_changes,
    a_token_makes_no_tokens,
    a_token_becomes_a_session_and_a_log_out_ends_it,
    a_session_changes_nothing_for_a_foreign_page,
    a_link_logs_in_once,
    who_fails_too_often_must_wait_and_harms_nobody_who_may_come_in,
    revoking_a_token_ends_its_sessions_and_its_streams,
    a_page_that_points_its_name_at_loopback_reaches_nothing,
    every_answer_tells_browsers_what_not_to_do,
    a_taken_port_is_told_and_tried_again,
    prometheus_scrapes_with_a_read_token,
];

/// Loopback of the PBX, whose network is the test's own.
const ADDRESS: &str = "127.0.0.1:8022";

const CONFIG: &str = "[http]\nlisten = [\"127.0.0.1:8022\"]\n";

/// A daemon on the PBX that serves HTTP on [`ADDRESS`], and who asks there.
struct Served {
    world: World,
    setup: Setup,
    daemon: Daemon,
}

impl Served {
    fn new() -> Self {
        let world = World::new();
        let setup = world.setup(CONFIG);
        let daemon = world.watch(&setup);
        daemon.expect("http_opened");
        Self { world, setup, daemon }
    }

    /// Asks on the PBX itself.
    fn ask(&self, ask: impl FnOnce(Web) -> Reply + Send) -> Reply {
        self.world.pbx.run(|| ask(web()))
    }

    /// A new token's secret.
    fn token(&self, name: &str, scope: &str) -> String {
        token(&self.setup.client(), name, scope)
    }

    /// The cookie of a session that `secret` opened.
    fn session(&self, secret: &str) -> String {
        let reply = self.ask(|web| web.browser().form("/login", &format!("token={secret}")));
        cookie(&reply.expect(303))
    }

    fn shell(&self, words: &[&str]) -> Output {
        self.world.pbx.run(|| self.setup.shell(words))
    }
}

fn web() -> Web {
    Web::new(ADDRESS.parse::<SocketAddr>().unwrap())
}

pub(crate) fn token(client: &Client, name: &str, scope: &str) -> String {
    let made = client.post("/tokens", &json!({ "name": name, "scope": scope })).expect(201);
    made["token"].as_str().unwrap().to_owned()
}

/// Name and value, as they are sent back.
pub(crate) fn cookie(reply: &Reply) -> String {
    let set = reply.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn nothing_but_healthz_and_the_login_answers_without_a_token() {
    let served = Served::new();
    let document = served.setup.client().get("/openapi.json").expect(200);
    let mut asked: Vec<(String, String)> = vec![];
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.split('{').next().unwrap().to_owned();
        let path = if path.ends_with('/') { format!("{path}192.0.2.7") } else { path };
        for method in item.as_object().unwrap().keys() {
            asked.push((method.to_uppercase(), path.clone()));
        }
    }
    assert!(asked.len() > 20, "{asked:?}");
    for path in [
        "/",
        "/metrics",
        "/nowhere",
        "/bans",
        "/healthz/",
        "/login/../metrics",
        "//healthz",
        "/LOGIN",
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS", "BREW"] {
            asked.push((method.to_owned(), path.to_owned()));
        }
    }
    for (method, path) in asked {
        let reply = served.ask(|web| web.ask(&method, &path, Some(&json!({}))));
        let expected = if path.starts_with("/login/") && method != "POST" && method != "DELETE" {
            // Files of the log-in are public; what is not there is not there.
            assert!(matches!(reply.status, 401 | 404 | 405), "{method} {path}: {}", reply.status);
            continue;
        } else {
            401
        };
        assert_eq!(reply.status, expected, "{method} {path}\n{}", reply.head);
        assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"sipward\""));
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    }
    let healthy = served.ask(|web| web.get("/healthz")).expect(200);
    assert_eq!(healthy.body, "ok\n");
    let login = served.ask(|web| web.browser().get("/login?next=%2Fbans")).expect(200);
    assert!(
        login.body.contains("name=\"token\"") && login.body.contains("/bans"),
        "{}",
        login.body
    );
    let sent = served.ask(|web| web.browser().get("/bans?search=%22x%22")).expect(303);
    let place = sent.header("location").unwrap();
    assert_eq!(place, "/login?next=%2Fbans%3Fsearch%3D%2522x%2522");
}

fn a_token_is_made_listed_and_revoked_by_the_command_line() {
    let served = Served::new();
    let made = served.shell(&["token", "add", "grafana", "--scope", "read", "--expires", "90d"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let made = text(&made.stdout);
    let secret = made.lines().next().unwrap();
    assert!(secret.starts_with("sipward_"), "{made}");
    assert!(made.contains("grafana may read until 20"), "{made}");
    served.daemon.expect_that("token_added", |line| line.text("name") == "grafana");
    assert!(!served.daemon.log().text().contains(secret), "the secret is in the log");

    served.ask(|web| web.bearer(secret).get("/api/v1/status")).expect(200);

    let listed = text(&served.shell(&["token", "list", "--json"]).stdout);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["items"][0]["name"], "grafana");
    assert_eq!(listed["items"][0]["scope"], "read");
    assert!(listed["items"][0]["last_used"].is_string(), "{listed:#}");
    assert!(!listed.to_string().contains(secret));
    let twice = served.shell(&["token", "add", "grafana"]);
    assert_eq!(twice.status.code(), Some(2), "{}", text(&twice.stderr));
    for name in ["", "a b", "../x", "é"] {
        assert_eq!(served.shell(&["token", "add", name]).status.code(), Some(2), "{name}");
    }

    let revoked = served.shell(&["token", "revoke", "grafana"]);
    assert!(text(&revoked.stdout).starts_with("grafana opens nothing any more"));
    served.ask(|web| web.bearer(secret).get("/api/v1/status")).expect(401);
    assert_eq!(served.shell(&["token", "revoke", "grafana"]).status.code(), Some(1));
    let listed = text(&served.shell(&["token", "list"]).stdout);
    assert!(listed.starts_with("there is no token"), "{listed}");
}

fn a_token_outlives_a_restart_and_its_secret_is_stored_nowhere() {
    let Served { world, setup, daemon } = Served::new();
    let [kept, revoked] = ["kept", "revoked"].map(|name| token(&setup.client(), name, "write"));
    let _ = setup.client().delete("/tokens/revoked").expect(200);
    daemon.stop();
    for entry in fs::read_dir(setup.directory()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap_or_default();
        let bare = kept.trim_start_matches("sipward_").as_bytes();
        let found = bytes.windows(bare.len()).any(|window| window == bare);
        assert!(!found, "the secret is in {}", path.display());
    }

    let daemon = world.watch(&setup);
    daemon.expect("http_opened");
    let status = |secret: &str| world.pbx.run(|| web().bearer(secret).get("/api/v1/status").status);
    assert_eq!((status(&kept), status(&revoked)), (200, 401));
}

fn a_token_in_a_store_in_memory_says_that_it_ends_with_the_daemon() {
    let world = World::new();
    let setup = world.setup(&format!("{CONFIG}[store]\npath = \":memory:\"\n"));
    let _daemon = world.watch(&setup);
    let made = setup.shell(&["token", "add", "x"]);
    assert!(text(&made.stdout).contains("so it ends with the daemon"), "{}", text(&made.stdout));
}

fn a_read_token_looks_and_tries_and_a_write_token_changes() {
    let served = Served::new();
    let [reader, writer] = ["read", "write"].map(|scope| served.token(scope, scope));
    let ban = json!({ "net": "203.0.113.77" });
    let trial = json!({ "log_line": "2026-11-27 10:00:00.000000 [WARNING] sofia_reg.c:1 hello" });

    served.ask(|web| web.bearer(&reader).get("/api/v1/bans")).expect(200);
    served.ask(|web| web.bearer(&reader).ask("POST", "/api/v1/test", Some(&trial))).expect(200);
    for (method, path, body) in [
        ("POST", "/api/v1/bans", Some(&ban)),
        ("DELETE", "/api/v1/bans", None),
        ("PATCH", "/api/v1/policy", Some(&ban)),
        ("POST", "/api/v1/reload", None),
        ("POST", "/nowhere", None),
    ] {
        let refused = served.ask(|web| web.bearer(&reader).ask(method, path, body)).expect(403);
        assert!(refused.body.contains("scope write"), "{method} {path}: {}", refused.body);
    }
    served.ask(|web| web.bearer(&writer).ask("POST", "/api/v1/bans", Some(&ban))).expect(201);
    served.daemon.expect_that("ban", of("203.0.113.77/32"));
    served.ask(|web| web.bearer(&writer).get("/api/v1/bans/203.0.113.77%2F32")).expect(200);
}

fn a_token_makes_no_tokens() {
    let served = Served::new();
    let writer = served.token("writer", "write");
    for (method, path) in [
        ("GET", "/api/v1/tokens"),
        ("POST", "/api/v1/tokens"),
        ("DELETE", "/api/v1/tokens/writer"),
        ("POST", "/api/v1/links"),
        ("DELETE", "/api/v1/sessions"),
    ] {
        let body = json!({ "name": "other", "scope": "write" });
        let refused = served.ask(|web| web.bearer(&writer).ask(method, path, Some(&body)));
        assert_eq!(refused.status, 403, "{method} {path}: {}", refused.body);
    }
    let tokens = served.setup.client().get("/tokens").expect(200);
    assert_eq!(tokens["items"].as_array().unwrap().len(), 1);
}

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
    assert!(wrong.body.contains("opens nothing"), "{}", wrong.body);
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
        assert!(refused.body.contains("from the page itself"), "{}", refused.body);
    }
    assert_eq!(served.setup.client().get("/bans").expect(200)["total"], 0);
    post(&[("Origin", "http://127.0.0.1:8022")]).expect(201);
    post(&[("Sec-Fetch-Site", "same-origin")]).expect(201);
    // Nor does a foreign page log anybody in or out.
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
    assert!(made.contains("opens one session that may write, once, until"), "{made}");
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
    served.daemon.expect_many("login_failed", 10, |line| line.text("source") == "127.0.0.1");
    let waits = |reply: Reply| {
        let seconds: u64 = reply.expect(429).header("retry-after").unwrap().parse().unwrap();
        assert!((1..=600).contains(&seconds), "{seconds}");
    };
    waits(served.ask(|web| web.bearer("sipward_guess").get("/metrics")));
    waits(served.ask(|web| web.browser().form("/login", &format!("token={secret}"))));
    // Whoever is in stays in, and so does whoever has a token: nobody finds 256 bits by trying.
    served.ask(|web| web.with("Cookie", &session).get("/api/v1/bans")).expect(200);
    served.ask(|web| web.bearer(&secret).get("/api/v1/bans")).expect(200);
    // Loopback is this host's own: the engine is told, and bans nobody.
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

fn a_page_that_points_its_name_at_loopback_reaches_nothing() {
    let served = Served::new();
    let secret = served.token("noc", "write");
    for host in ["evil.example", "evil.example:8022", "127.0.0.1.evil.example", ""] {
        for path in ["/login", "/api/v1/status", "/"] {
            let reply = served.ask(|web| web.host(host).bearer(&secret).get(path));
            assert_eq!(reply.status, 421, "{host} {path}");
        }
    }
    for host in ["localhost:8022", "127.0.0.1", "[::1]:8022"] {
        served.ask(|web| web.host(host).bearer(&secret).get("/api/v1/status")).expect(200);
    }
    let nameless = served.ask(|web| web.raw("GET /api/v1/status HTTP/1.0\r\n\r\n"));
    assert!(matches!(nameless.status, 400 | 421), "{}", nameless.status);
}

fn every_answer_tells_browsers_what_not_to_do() {
    let served = Served::new();
    let secret = served.token("noc", "read");
    let long = format!("/{}", "x".repeat(9_000));
    for (path, status) in [
        ("/healthz", 200),
        ("/login", 200),
        ("/api/v1/status", 200),
        ("/nowhere", 404),
        ("/api/v1/bans?limit=0", 422),
        (long.as_str(), 414),
    ] {
        let reply = served.ask(|web| web.bearer(&secret).get(path)).expect(status);
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("same-origin"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(reply.header("strict-transport-security"), None);
        assert_eq!(reply.header("access-control-allow-origin"), None);
        assert_eq!(reply.header("server"), None);
    }
}

fn a_taken_port_is_told_and_tried_again() {
    let world = World::new();
    let taken = world.pbx.run(|| std::net::TcpListener::bind(ADDRESS)).unwrap();
    let setup = world.setup(CONFIG);
    let daemon = world.watch(&setup);
    let failed = daemon.expect("http_failed");
    assert_eq!(failed.text("address"), ADDRESS);
    assert!(failed.text("error").contains("ss -ltnp"), "{}", failed.text("error"));
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
    drop(taken);
    daemon.expect("http_opened");
}

fn prometheus_scrapes_with_a_read_token() {
    let served = Served::new();
    let secret = served.token("prometheus", "read");
    let reply = served.ask(|web| web.bearer(&secret).get("/metrics")).expect(200);
    assert!(reply.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(reply.body.contains("\nsipward_esl_connected 1\n"), "{}", reply.body);
}
