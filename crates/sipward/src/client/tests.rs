use std::collections::BTreeMap;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;
use sipward_model::wire::{BanQuery, Direction, EventQuery, Line};

/// A server that gives each connection one of these answers, byte by byte as written, and hands back
/// what it was asked.
struct Scripted {
    directory: TempDir,
    asked: tokio::task::JoinHandle<Vec<String>>,
}

impl Scripted {
    fn new(answers: Vec<Vec<u8>>) -> Self {
        let directory = TempDir::new().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                asked.push(String::from_utf8_lossy(&request[..length]).into_owned());
                // A client that has had enough is part of the test.
                let _ = stream.write_all(&answer).await;
            }
            asked
        });
        Self { directory, asked }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.directory.path().join("s")).await.unwrap()
    }
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

type Map = BTreeMap<String, u32>;

#[tokio::test]
async fn an_answer_is_read_and_kept_as_it_came() {
    let server = Scripted::new(vec![answer("200 OK", "{ \"a\": 1 }")]);
    let answer = server.client().await.get::<Map>("/status", &NoQuery {}).await.unwrap();
    assert_eq!(answer.value["a"], 1);
    assert_eq!(answer.body, "{ \"a\": 1 }");
    assert!(server.asked.await.unwrap()[0].starts_with("GET /api/v1/status HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_connection_that_was_closed_is_made_anew() {
    let server = Scripted::new(vec![answer("200 OK", "{}"), answer("200 OK", "{\"b\":2}")]);
    let mut client = server.client().await;
    client.get::<Map>("/status", &NoQuery {}).await.unwrap();
    let second = client.get::<Map>("/status", &NoQuery {}).await.unwrap();
    assert_eq!(second.value["b"], 2);
}

#[tokio::test]
async fn a_problem_document_says_which_field_and_moves_no_cursor() {
    let problem = r#"{"type":"urn:sipward:problem:invalid","title":"Invalid","status":422,
        "detail":"a value cannot be","errors":[{"field":"net","detail":"write \u001b[2Jan address"}]}"#;
    let server = Scripted::new(vec![answer("422 Unprocessable Content", problem)]);
    let body = BTreeMap::from([("net", "x")]);
    let error = server.client().await.post::<Map>("/bans", &body).await.unwrap_err();
    let told = error.to_string();
    assert_eq!(told, "a value cannot be\n  net: write \\u{1b}[2Jan address");
    assert!(server.asked.await.unwrap()[0].ends_with("\r\n\r\n{\"net\":\"x\"}"));
}

#[tokio::test]
async fn answers_that_are_none_are_errors() {
    for broken in [
        answer("200 OK", "[]"),
        answer("500 Oh", "<html>"),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec(),
        Vec::new(),
    ] {
        let server = Scripted::new(vec![broken]);
        server.client().await.get::<Map>("/status", &NoQuery {}).await.unwrap_err();
    }
}

#[tokio::test]
async fn an_endless_answer_is_given_up() {
    let mut endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    endless.resize(MAX_ANSWER + 4096, b' ');
    let server = Scripted::new(vec![endless]);
    let error = server.client().await.get::<Map>("/status", &NoQuery {}).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn without_a_daemon_the_error_says_so() {
    let directory = TempDir::new().unwrap();
    let nowhere = directory.path().join("nowhere");
    let error = Client::connect(&nowhere).await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { problem: "does not exist", .. }), "{error}");
    let stale = directory.path().join("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let error = Client::connect(&stale).await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { problem: "has no listener", .. }), "{error}");
}

#[tokio::test]
async fn events_come_one_by_one_until_the_stream_ends() {
    let stream = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n: alive\n\n\
        data: {\"time\":\"2026-11-23T22:00:00Z\",\"event\":\"ban\",\"net\":\"192.0.2.7/32\"}\n\n";
    let server = Scripted::new(vec![stream.as_bytes().to_vec()]);
    let query = EventQuery { event: Some("ban,unban".to_owned()), message: None };
    let mut events = server.client().await.events(&query).await.unwrap();
    let Line { event, fields, .. } = events.next().await.unwrap().unwrap();
    assert_eq!((event.as_str(), fields["net"].as_str()), ("ban", Some("192.0.2.7/32")));
    assert_eq!(events.next().await.unwrap(), None);
    assert!(server.asked.await.unwrap()[0].starts_with("GET /api/v1/events?event=ban%2Cunban "));
}

#[test]
fn queries_hold_what_is_set_escaped() {
    let query = BanQuery {
        inside: Some("2001:db8::/32".parse().unwrap()),
        order: Some(Direction::Desc),
        limit: Some(7),
        ..BanQuery::default()
    };
    assert_eq!(query_string(&query).unwrap(), "?inside=2001%3Adb8%3A%3A%2F32&limit=7&order=desc");
    assert_eq!(query_string(&NoQuery {}).unwrap(), "");
    assert_eq!(segment("a/b?c&d e"), "a%2Fb%3Fc%26d%20e");
}
