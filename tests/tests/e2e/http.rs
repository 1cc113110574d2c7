//! The API on TCP: access by token, and the headers of every answer.

use std::fs;
use std::net::SocketAddr;
use std::process::Output;

use serde_json::{Value, json};
use sipward_tests::daemon::{Daemon, Setup};
use sipward_tests::http::Client;
use sipward_tests::web::{Reply, Web};

use super::world::{World, of};

super::cases![
    nothing_but_healthz_and_the_login_answers_without_a_token,
    a_token_is_made_listed_and_revoked_by_the_command_line,
    every_change_is_told_with_who_asked_for_it,
    a_token_outlives_a_restart_and_its_secret_is_stored_nowhere,
    a_token_in_a_store_in_memory_says_that_it_ends_with_the_daemon,
    a_read_token_looks_and_tries_and_a_write_token_changes,
    a_token_makes_no_tokens,
    a_page_that_points_its_name_at_loopback_reaches_nothing,
    every_answer_tells_browsers_what_not_to_do,
    a_taken_port_is_told_and_tried_again,
    prometheus_scrapes_with_a_read_token,
];

/// Loopback of the PBX, whose network is the test's own.
const ADDRESS: &str = "127.0.0.1:8022";

const CONFIG: &str = "[http]\nlisten = [\"127.0.0.1:8022\"]\n";

/// A daemon on the PBX that serves HTTP on [`ADDRESS`], and its clients.
pub(super) struct Served {
    pub(super) world: World,
    pub(super) setup: Setup,
    pub(super) daemon: Daemon,
}

impl Served {
    pub(super) fn new() -> Self {
        let world = World::new();
        let setup = world.setup(CONFIG);
        let daemon = world.watch(&setup);
        daemon.expect("http_opened");
        Self { world, setup, daemon }
    }

    /// Asks on the PBX itself.
    pub(super) fn ask(&self, ask: impl FnOnce(Web) -> Reply + Send) -> Reply {
        self.world.pbx.run(|| ask(web()))
    }

    /// A new token's secret.
    pub(super) fn token(&self, name: &str, scope: &str) -> String {
        token(&self.setup.client(), name, scope)
    }

    /// The cookie of a session that `secret` opened.
    pub(super) fn session(&self, secret: &str) -> String {
        let reply = self.ask(|web| web.browser().form("/login", &format!("token={secret}")));
        cookie(&reply.expect(303))
    }

    pub(super) fn shell(&self, words: &[&str]) -> Output {
        self.world.pbx.run(|| self.setup.shell(words))
    }
}

pub(super) fn web() -> Web {
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

pub(super) fn text(bytes: &[u8]) -> String {
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
    assert!(made.contains("grafana has scope read until 20"), "{made}");
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
    assert!(text(&revoked.stdout).starts_with("grafana is revoked"));
    served.ask(|web| web.bearer(secret).get("/api/v1/status")).expect(401);
    assert_eq!(served.shell(&["token", "revoke", "grafana"]).status.code(), Some(1));
    let listed = text(&served.shell(&["token", "list"]).stdout);
    assert!(listed.starts_with("there are no tokens"), "{listed}");
}

fn every_change_is_told_with_who_asked_for_it() {
    let served = Served::new();
    let secret = token(&served.setup.client(), "ops", "write");
    let told = served.daemon.expect_that("changed", |line| line.text("path") == "/api/v1/tokens");
    assert_eq!((told.text("name"), told.text("way")), ("root", "socket"));
    assert!(told.field("address").is_null() && told.text("body").contains("ops"), "{told:?}");

    let ban = json!({"net": "192.0.2.7", "comment": "x"});
    let asked = served.ask(|web| web.bearer(&secret).ask("POST", "/api/v1/bans", Some(&ban)));
    let told = served.daemon.expect_that("changed", |line| line.text("path") == "/api/v1/bans");
    assert_eq!((told.text("name"), told.text("way")), ("ops", "token"));
    assert_eq!((told.text("address"), told.text("method")), ("127.0.0.1", "POST"));
    assert_eq!(told.number("status"), Some(asked.status.into()));
    assert!(told.text("body").contains("192.0.2.7"), "{told:?}");

    // A refused request is recorded too, but not a body of any length.
    let long = json!({"net": "192.0.2.8", "nonsense": "x".repeat(2_000)});
    served.ask(|web| web.bearer(&secret).ask("POST", "/api/v1/bans?long", Some(&long))).expect(422);
    let told = served.daemon.expect_that("changed", |line| line.text("path").ends_with("?long"));
    assert!(told.number("status") == Some(422) && told.field("body").is_null(), "{told:?}");

    // Looking and trying change nothing, and a token without write access is refused before.
    let before = served.daemon.log().text().matches("\"changed\"").count();
    let reader = token(&served.setup.client(), "reader", "read");
    served.ask(|web| web.bearer(&secret).get("/api/v1/bans")).expect(200);
    served.ask(|web| web.bearer(&reader).ask("POST", "/api/v1/bans", Some(&ban))).expect(403);
    let preview = json!({"max_failures": 3});
    let path = "/api/v1/policy/preview";
    served.ask(|web| web.bearer(&reader).ask("POST", path, Some(&preview))).expect(200);
    served.daemon.expect_that("changed", |line| line.text("body").contains("reader"));
    let after = served.daemon.log().text().matches("\"changed\"").count();
    assert_eq!(after, before + 1, "the token was a change, the rest was none");
    assert!(!served.daemon.log().text().contains(&secret), "the secret is in the log");
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
    assert!(
        text(&made.stdout).contains("so it ends at the next restart"),
        "{}",
        text(&made.stdout)
    );
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
    ] {
        let refused = served.ask(|web| web.bearer(&reader).ask(method, path, body)).expect(403);
        assert!(refused.body.contains("scope write"), "{method} {path}: {}", refused.body);
    }
    served.ask(|web| web.bearer(&reader).ask("POST", "/nowhere", None)).expect(404);
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
    let taken = world.pbx.tcp(ADDRESS);
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
