//! The control socket under hostile requests: each is refused as a problem document or
//! cut off, and the daemon goes on.

use std::io::{Read as _, Write as _};
use std::thread;

use serde_json::json;
use sipward_tests::http::{Answer, Client};
use sipward_tests::wait::until;

use super::world::{World, seen_at};

super::cases![
    wrong_bodies_are_refused_with_the_name_of_the_field,
    wrong_queries_and_paths_are_refused_with_the_name_of_the_field,
    what_is_no_http_is_cut_off,
    large_and_deep_requests_are_refused,
    slow_senders_are_cut_off_and_hold_up_nobody,
    more_connections_than_there_is_room_for_wait_and_are_served,
    listeners_are_bounded_and_slow_ones_are_told_what_they_missed,
    strangers_names_reach_nobody_unescaped,
];

fn problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}\n{:#}", answer.head, answer.body);
    assert!(answer.head.contains("content-type: application/problem+json"), "{}", answer.head);
    assert_eq!(answer.body["status"], status);
    for field in ["type", "title", "detail"] {
        assert!(answer.body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
}

fn post(client: &Client, kind: &str, body: &str) -> Answer {
    let length = body.len();
    client.raw(&format!(
        "POST /api/v1/bans HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    ))
}

fn wrong_bodies_are_refused_with_the_name_of_the_field() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let client = setup.client();
    for (body, field) in [
        (json!({}), "net"),
        (json!({ "net": 5 }), "net"),
        (json!({ "net": "" }), "net"),
        (json!({ "net": "office.example.org" }), "net"),
        (json!({ "net": "203.0.113.7/33" }), "net"),
        (json!({ "net": "203.0.113.7", "colour": 1 }), "colour"),
        (json!({ "net": "203.0.113.7", "ban_time_seconds": 0 }), "ban_time_seconds"),
        (json!({ "net": "203.0.113.7", "ban_time_seconds": -1 }), "ban_time_seconds"),
        (json!({ "net": "203.0.113.7", "ban_time_seconds": 1.5 }), "ban_time_seconds"),
        (json!({ "net": "203.0.113.7", "ban_time_seconds": u64::MAX }), "ban_time_seconds"),
        (
            json!({ "net": "203.0.113.7", "ban_time_seconds": 5, "permanent": true }),
            "ban_time_seconds",
        ),
        (json!({ "net": "203.0.113.7", "reason": "x".repeat(501) }), "reason"),
        (json!({ "net": "203.0.113.7", "spare": ["x"] }), "spare[0]"),
        (json!({ "net": "203.0.113.7", "spare": vec!["192.0.2.1"; 17] }), "spare"),
        (json!([]), "the body"),
        (json!("x"), "the body"),
    ] {
        let answer = post(&client, "application/json", &body.to_string());
        problem(&answer, 422);
        assert_eq!(answer.wrong_fields(), [field], "{body}");
    }
    for body in ["", "{", "{\"net\":", "nul", "{} {}", "\u{feff}{}", "{\"net\":\"\\ud800\"}"] {
        let answer = post(&client, "application/json", body);
        assert!(matches!(answer.status, 400 | 422), "{body}: {}", answer.status);
        problem(&answer, answer.status);
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "", "application/json5"] {
        problem(&post(&client, kind, "{\"net\":\"203.0.113.7\"}"), 415);
    }
    let answer = post(&client, "Application/JSON; charset=utf-8", "{\"net\":\"203.0.113.7\"}");
    assert_eq!(answer.status, 201);
}

fn wrong_queries_and_paths_are_refused_with_the_name_of_the_field() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let client = setup.client();
    for (path, field) in [
        ("/bans?limit=0", "limit"),
        ("/bans?limit=1001", "limit"),
        ("/bans?limit=-1", "limit"),
        ("/bans?limit=99999999999999999999", "limit"),
        ("/bans?limit=1&limit=2", "limit"),
        ("/bans?limt=1", "limt"),
        ("/bans?origin=me", "origin"),
        ("/bans?inside=here", "inside"),
        ("/bans?cursor=x", "cursor"),
        ("/bans?cursor=1_x", "cursor"),
        ("/bans?sort=%00", "sort"),
        ("/history?from=yesterday", "from"),
        ("/history?cursor=-", "cursor"),
        ("/history?event=kick", "event"),
        ("/failures?grade=A", "grade"),
        ("/failures?cursor=-1", "cursor"),
        ("/allow?origin=dns", "origin"),
        ("/bans/nobody", "net"),
        ("/bans/203.0.113.7%2F99", "net"),
        ("/sources/203.0.113.0%2F24", "address"),
        ("/sources/%20", "address"),
    ] {
        let answer = client.get(path);
        problem(&answer, 422);
        assert_eq!(answer.wrong_fields(), [field], "{path}");
    }
    for host in ["", "-", "192.0.2", "a..b"] {
        let path = format!("/allow/{host}");
        let answer = client.delete(&path);
        assert!(matches!(answer.status, 404 | 422), "{path}: {}", answer.status);
        problem(&answer, answer.status);
    }
    problem(&client.get("/bans/%ff"), 400);
    problem(&client.get("/nowhere"), 404);
    problem(&client.get("/bans/1/2/3"), 404);
    problem(&client.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 404);
    for (method, path) in
        [("PUT", "/bans"), ("POST", "/status"), ("PATCH", "/bans/1"), ("BREW", "/bans")]
    {
        let answer = client.request(method, path, None);
        problem(&answer, 405);
        assert!(answer.head.contains("allow: "), "{}", answer.head);
    }
}

/// What comes back before the connection is closed.
fn talk(client: &Client, bytes: &[u8]) -> String {
    let mut stream = client.connect();
    // It may be closed before all is written.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn what_is_no_http_is_cut_off() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let client = setup.client();
    for bytes in [
        &b"\r\n\r\n\r\n\r\nhello\r\n\r\n"[..],
        b"GET /api/v1/status HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /api/v1/status HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET /api/v1/status HTTP/1.1\r\nbad header\r\n\r\n",
        b"POST /api/v1/bans HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\nConnection: close\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    ] {
        let answer = talk(&client, bytes);
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{}: {answer}", String::from_utf8_lossy(bytes));
        let _ = client.get("/status").expect(200);
    }
}

fn large_and_deep_requests_are_refused() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let client = setup.client();

    let body = format!("{{\"net\":\"{}\"}}", "x".repeat(300_000));
    problem(&post(&client, "application/json", &body), 413);
    // A client that sends far too much can still read the answer.
    for kind in ["application/json", "text/plain"] {
        let body = "x".repeat(3_000_000);
        let status = if kind == "text/plain" { 415 } else { 413 };
        problem(&post(&client, kind, &body), status);
    }
    let deep = format!("{{\"net\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = post(&client, "application/json", &deep);
    assert!(matches!(answer.status, 400 | 422), "{}", answer.status);
    let answer = client.get(&format!("/bans?inside={}", "1".repeat(5_000)));
    problem(&answer, 414);
    let answer = client.get(&format!("/bans/{}", "1".repeat(9_000)));
    problem(&answer, 414);
    for head in [
        format!("GET /api/v1/status HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000)),
        format!("GET /api/v1/status HTTP/1.1\r\n{}\r\n\r\n", "X: y\r\n".repeat(1_000)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)),
    ] {
        let answer = talk(&client, head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let _ = client.get("/status").expect(200);
}

fn slow_senders_are_cut_off_and_hold_up_nobody() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let client = setup.client();
    let bodies: Vec<&[u8]> = vec![
        b"",
        b"GET /api/v1/sta",
        b"POST /api/v1/bans HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"net\"",
    ];
    let slow: Vec<_> = bodies
        .into_iter()
        .map(|bytes| {
            let mut stream = client.connect();
            stream.write_all(bytes).unwrap();
            thread::spawn(move || {
                let mut answer = String::new();
                let read = stream.read_to_string(&mut answer);
                (read.is_ok(), answer)
            })
        })
        .collect();

    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
    let _ = client.get("/status").expect(200);

    let ends: Vec<_> = slow.into_iter().map(|slow| slow.join().unwrap()).collect();
    assert!(ends.iter().all(|(closed, _)| *closed), "{ends:?}");
    assert!(ends[2].1.starts_with("HTTP/1.1 408"), "{ends:?}");
}

fn more_connections_than_there_is_room_for_wait_and_are_served() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let client = setup.client();
    // More than the daemon serves at once; they send nothing and are cut off in time.
    let idle: Vec<_> = (0..70).map(|_| client.connect()).collect();
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
    let asked = thread::spawn(move || client.get("/status").status);
    assert_eq!(asked.join().unwrap(), 200);
    drop(idle);
}

fn listeners_are_bounded_and_slow_ones_are_told_what_they_missed() {
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 1000\n");
    let daemon = world.watch(&setup);
    let client = setup.client();
    let mut slow = client.listen("");
    let others: Vec<_> = (1..16).map(|_| client.listen("?event=ban")).collect();
    problem(&client.get("/events"), 503);
    drop(others);

    // A listener falls behind by what the socket's buffers and the daemon's channel hold.
    let mut told = 0;
    for round in 0..60_u32 {
        for n in 0..1_000_u32 {
            let source = format!("198.18.{}.{}", round, n % 250);
            world.fs.failure(source.parse().unwrap(), 5060, "1000");
        }
        told += 1_000;
        daemon.expect_many("auth_failure", told, |_| true);
        if told >= 12_000 {
            break;
        }
    }
    // `event` fails when no more comes.
    let missed = loop {
        let (name, line) = slow.event();
        if name == "missed" {
            break line;
        }
    };
    assert!(missed["count"].as_u64().unwrap() > 0, "{missed}");
    // Their seats are free again, as soon as their end is noticed.
    until("a free seat", || {
        world.fail("198.51.100.7", 1);
        let head = "HEAD /api/v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        client.raw(head).status != 503
    });
}

fn strangers_names_reach_nobody_unescaped() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let name = "a\u{1b}[2J\r\ndata: forged\r\n\r\n\u{202e}\"";
    world.fs.failure("198.51.100.7".parse().unwrap(), 5060, name);
    daemon.expect_that("auth_failure", seen_at("198.51.100.7"));
    let mut stream = setup.client().connect();
    stream
        .write_all(b"GET /api/v1/failures HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(!body.contains('\u{1b}') && !body.contains('\n'), "{body:?}");
    let page = setup.client().get("/failures").expect(200);
    assert_eq!(page["items"][0]["user"], name);
}
