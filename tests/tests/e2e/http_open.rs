//! The API on an address that other hosts reach: TLS, proxies, and intruders.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use sipward_tests::daemon::Setup;
use sipward_tests::wait::until;
use sipward_tests::web::{Reply, Web};

use super::http::{cookie, token};
use super::world::{ALL, Family, NONE, World, of, setup_without_credentials};

super::cases![
    an_open_address_without_tls_is_refused_with_the_reason,
    a_certificate_that_cannot_be_used_ends_the_start,
    under_tls_the_cookie_is_for_this_host_and_tls_only,
    a_reload_takes_a_new_certificate_and_keeps_the_old_one_when_it_is_broken,
    the_tenth_failed_login_bans_the_client_from_the_kernel,
    a_proxy_names_the_client_and_a_forger_does_not,
    in_clear_only_the_proxy_is_served,
    strangers_that_are_slow_or_loud_hold_up_nobody,
];

/// The PBX, as its attacker and its phone reach it.
const OPEN: &str = "192.0.2.1:8443";

/// Name in the certificates.
pub(super) const NAME: &str = "pbx.example";

/// Makes a certificate, writes it where [`TLS`] says, and gives it.
fn certify(setup: &Setup) -> String {
    let made: CertifiedKey<_> = generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let certificate = made.cert.pem();
    fs::write(setup.directory().join("cert.pem"), &certificate).unwrap();
    fs::write(setup.directory().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    certificate
}

fn tls_config(setup: &Setup) -> String {
    let file = |name: &str| setup.directory().join(name).display().to_string();
    let (certificate, key) = (file("cert.pem"), file("key.pem"));
    format!("[http]\nlisten = [\"{OPEN}\"]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n")
}

/// A setup that serves TLS on [`OPEN`], and its certificate.
pub(super) fn with_tls(world: &World) -> (Setup, String) {
    let setup = world.setup("");
    let certificate = certify(&setup);
    setup.configure(&tls_config(&setup));
    (setup, certificate)
}

pub(super) fn web() -> Web {
    Web::new(OPEN.parse::<SocketAddr>().unwrap())
}

fn an_open_address_without_tls_is_refused_with_the_reason() {
    for address in ["0.0.0.0:8022", "[::]:8022", "192.0.2.1:8022"] {
        let setup = setup_without_credentials(&format!("[http]\nlisten = [\"{address}\"]\n"))
            .env("ESL_PASSWORD", "x");
        for command in ["check", "run"] {
            let refused = setup.run(command);
            let told = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(1), "{told}");
            for word in
                [":2:10: `http.listen`", "unencrypted", "http.certificate", "trusted_proxies"]
            {
                assert!(told.contains(word), "{told}");
            }
        }
    }
}

fn a_certificate_that_cannot_be_used_ends_the_start() {
    let world = World::new();
    let (setup, _) = with_tls(&world);
    let file = |name: &str| setup.directory().join(name);
    let key = fs::read(file("key.pem")).unwrap();
    let other = generate_simple_self_signed([NAME.to_owned()]).unwrap();
    for (contents, told) in [
        (b"".as_slice(), "contains no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nrubbish", "contains no private key"),
        (other.signing_key.serialize_pem().as_bytes(), "cannot be used"),
    ] {
        fs::write(file("key.pem"), contents).unwrap();
        let ended = world.start(&setup).wait_for_end();
        assert!(!ended.status.success());
        let text = ended.log.text();
        assert!(text.contains("cannot serve TLS") && text.contains(told), "{text}");
    }
    fs::write(file("key.pem"), key).unwrap();
    fs::remove_file(file("cert.pem")).unwrap();
    let text = world.start(&setup).wait_for_end().log.text();
    assert!(text.contains("cert.pem") && text.contains("the daemon's user"), "{text}");
}

fn under_tls_the_cookie_is_for_this_host_and_tls_only() {
    let world = World::new();
    let (setup, certificate) = with_tls(&world);
    let daemon = world.watch(&setup);
    assert_eq!(daemon.expect("http_opened").field("tls"), &true);
    let secret = token(&setup.client(), "noc", "write");
    let ask = |ask: &(dyn Fn(Web) -> Reply + Sync)| {
        world.phone.run(|| ask(web().trusting(&certificate, NAME).host(NAME)))
    };

    let reply = ask(&|web| web.browser().form("/login", &format!("token={secret}"))).expect(303);

    let set = reply.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-sipward=") && set.ends_with("; Secure"), "{set}");
    assert!(reply.header("strict-transport-security").unwrap().starts_with("max-age="));
    let session = cookie(&reply);
    ask(&|web| web.with("Cookie", &session).get("/api/v1/status")).expect(200);
    // The same session under the name that others may set.
    let plain = session.replace("__Host-", "");
    ask(&|web| web.with("Cookie", &plain).get("/api/v1/status")).expect(401);
    ask(&|web| web.bearer(&secret).get("/metrics")).expect(200);
    // In clear nothing is answered.
    assert_eq!(world.phone.run(|| web().get("/healthz")).status, 0);
}

fn a_reload_takes_a_new_certificate_and_keeps_the_old_one_when_it_is_broken() {
    let world = World::new();
    let (setup, first) = with_tls(&world);
    let daemon = world.watch(&setup);
    daemon.expect("http_opened");
    let healthy = |certificate: &str| {
        world.phone.run(|| web().trusting(certificate, NAME).get("/healthz").status)
    };
    assert_eq!(healthy(&first), 200);

    let second = certify(&setup);
    daemon.hang_up();
    daemon.expect("reload");
    assert_eq!((healthy(&first), healthy(&second)), (0, 200));

    fs::write(setup.directory().join("cert.pem"), "rubbish").unwrap();
    let reloaded = setup.client().request("POST", "/reload", None).expect(200);
    let problem = reloaded["certificate_problem"].as_str().unwrap();
    assert!(problem.contains("cert.pem"), "{problem}");
    daemon.expect("certificate_failed");
    assert_eq!(healthy(&second), 200);

    let third = certify(&setup);
    let reloaded = setup.client().request("POST", "/reload", None).expect(200);
    assert_eq!(reloaded["certificate_problem"], json!(null));
    assert_eq!(reloaded["needs_restart"], json!([]));
    assert_eq!((healthy(&second), healthy(&third)), (0, 200));
}

fn the_tenth_failed_login_bans_the_client_from_the_kernel() {
    let world = World::new();
    let (setup, certificate) = with_tls(&world);
    let daemon = world.watch(&setup);
    daemon.expect("http_opened");
    let guess = || web().trusting(&certificate, NAME).bearer("sipward_guess").get("/api/v1/bans");
    for _ in 0..9 {
        world.attacker.run(guess).expect(401);
    }
    assert_eq!(world.attacker_arrives(Family::V4), ALL);
    // Its answer may come or not: the ban cuts it off.
    let _ = world.attacker.run(guess);

    let ban = daemon.expect_that("ban", of("198.51.100.7/32"));
    for (field, value) in [("rule", "login"), ("grade", "answered"), ("address", "198.51.100.7")] {
        assert_eq!(ban.text(field), value);
    }
    assert_eq!(ban.field("enforced"), &true);
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    assert_eq!(world.phone_arrives(Family::V4), ALL);
    let found = setup.client().get("/bans?rule=login").expect(200);
    assert_eq!(found["total"], 1);
}

fn a_proxy_names_the_client_and_a_forger_does_not() {
    let world = World::new();
    // The phone's host is the proxy; an office is behind it beside the attacker.
    let setup = world.setup(
        "[http]\nlisten = [\"192.0.2.1:8443\"]\ntrusted_proxies = [\"203.0.113.5\"]\nhosts = [\"pbx.example\"]\n",
    );
    let daemon = world.watch(&setup);
    daemon.expect("http_opened");
    let secret = token(&setup.client(), "noc", "read");
    let through = |forwarded: &str| {
        let web = web().host(NAME).with("X-Forwarded-For", forwarded);
        web.with("X-Forwarded-Proto", "https")
    };
    // What the attacker wrote himself stands to the left of what the proxy has added.
    for n in 0..10 {
        let forwarded = format!("192.0.2.{n}, 198.51.100.7");
        let guess = || through(&forwarded).browser().form("/login", "token=guess");
        world.phone.run(guess).expect(401);
    }
    let ban = daemon.expect_that("ban", of("198.51.100.7/32"));
    assert_eq!(ban.text("rule"), "login");
    let bans = setup.client().get("/bans").expect(200);
    assert_eq!(bans["total"], 1, "nobody else: {bans:#}");
    let login = || through("198.51.100.20").browser().form("/login", &format!("token={secret}"));
    let reply = world.phone.run(login).expect(303);
    assert!(reply.header("set-cookie").unwrap().starts_with("__Host-sipward="));
    assert_eq!(daemon.expect("logged_in").text("address"), "198.51.100.20");
    let strange = || through("198.51.100.20").host("evil.example").get("/login");
    world.phone.run(strange).expect(421);
    let made = setup.client().post("/links", &json!({})).expect(201);
    assert!(made["urls"][0].as_str().unwrap().starts_with("https://pbx.example/login?code="));
}

fn in_clear_only_the_proxy_is_served() {
    let world = World::new();
    let setup =
        world.setup("[http]\nlisten = [\"192.0.2.1:8443\"]\ntrusted_proxies = [\"203.0.113.5\"]\n");
    let daemon = world.watch(&setup);
    daemon.expect("http_opened");
    let secret = token(&setup.client(), "noc", "read");
    let ask = || web().bearer(&secret).with("X-Forwarded-For", "127.0.0.1").get("/api/v1/status");
    let refused = world.attacker.run(ask).expect(403);
    assert!(refused.body.contains("trusted_proxies"), "{}", refused.body);
    world.phone.run(ask).expect(200);
}

fn strangers_that_are_slow_or_loud_hold_up_nobody() {
    let world = World::new();
    let (setup, certificate) = with_tls(&world);
    let daemon = world.watch(&setup);
    daemon.expect("http_opened");
    // No handshake, or half a one. Sixteen connections are all that one client gets.
    let mut slow: Vec<_> = (0..17)
        .map(|n| {
            let mut stream = world.attacker.run(|| TcpStream::connect(OPEN)).unwrap();
            // One of them is closed already, perhaps this one.
            let _ = stream.write_all(if n % 2 == 0 { b"" } else { b"\x16\x03\x01\x02\x00" });
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            stream
        })
        .collect();
    let is_closed = |stream: &mut TcpStream| match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    };
    assert_eq!(slow.iter_mut().filter_map(|stream| is_closed(stream).then_some(())).count(), 1);

    let secret = token(&setup.client(), "noc", "read");
    let trusted = || web().trusting(&certificate, NAME);
    world.phone.run(|| trusted().bearer(&secret).get("/api/v1/status")).expect(200);
    for head in [
        format!("GET /api/v1/status HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000)),
        format!("GET /api/v1/status HTTP/1.1\r\n{}\r\n\r\n", "X: y\r\n".repeat(1_000)),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET /api/v1/status HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n".to_owned(),
    ] {
        let reply = world.phone.run(|| trusted().raw(&head));
        assert!(reply.status == 0 || (400..500).contains(&reply.status), "{}", reply.head);
    }
    let large = format!("token={}", "x".repeat(100_000));
    let large = world.phone.run(|| trusted().browser().form("/login", &large));
    // A client that still sends when the connection is closed may miss the answer.
    assert!(matches!(large.status, 0 | 413), "{}", large.head);
    let dripping = thread::scope(|scope| {
        let slow_form = scope.spawn(|| {
            world.phone.run(|| {
                trusted().raw(
                    "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: \
                     application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\ntoken",
                )
            })
        });
        world.fail("198.51.100.7", 5);
        daemon.expect("ban");
        slow_form.join().unwrap()
    });
    assert_eq!(dripping.status, 408, "{}", dripping.head);
    // The attacker is banned by now; the ends come on the PBX's side, which closes in any case.
    until("the end of slow connections", || world.pbx.run(connections) == 0);
}

/// TCP connections of the calling thread's network to port 8443 that stand (state 1, `proc_pid_net(5)`).
fn connections() -> usize {
    let port = format!(":{:04X}", 8443);
    let table = fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    let stands = |line: &&str| {
        let mut fields = line.split_whitespace();
        fields.nth(1).is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("01")
    };
    table.lines().skip(1).filter(stands).count()
}
