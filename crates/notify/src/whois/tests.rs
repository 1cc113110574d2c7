use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;

/// A server on loopback that gives its answers in turn, then none, and remembers the questions.
async fn server(answers: &[&str]) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut answers: VecDeque<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut question = String::new();
            stream.read_line(&mut question).await.unwrap();
            log.lock().unwrap().push(question);
            let answer = answers.pop_front().unwrap_or_default();
            // Anyone who has read enough closes.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (place, asked)
}

fn whois(place: SocketAddr) -> Whois {
    let server = WhoisServer { host: place.ip().to_string(), port: place.port() };
    Whois::new(WhoisSettings { server, ..WhoisSettings::default() })
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn the_registry_that_the_first_server_refers_to_answers() {
    let (registry, at_registry) =
        server(&["% comment\n\nnetname:  EVIL-NET\ncountry:  ZZ\n\n\n\n% more\n"]).await;
    let (first, at_first) =
        server(&[&format!("% IANA\n\nrefer: {registry}\n\ninetnum: 8/8\n")]).await;
    let answer = whois(first).look_up(ip("8.8.8.8")).await.unwrap();
    assert_eq!(answer.server, "127.0.0.1");
    assert_eq!(answer.text, "netname:  EVIL-NET\ncountry:  ZZ\n");
    assert_eq!(*at_first.lock().unwrap(), ["8.8.8.8\r\n"]);
    assert_eq!(*at_registry.lock().unwrap(), ["8.8.8.8\r\n"]);
}

#[tokio::test]
async fn an_answer_is_asked_for_once() {
    let (place, asked) = server(&["netname: A\n", "netname: B\n"]).await;
    let whois = whois(place);
    let first = whois.look_up(ip("2a00::1")).await.unwrap();
    assert_eq!(whois.look_up(ip("2a00::1")).await.unwrap(), first);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn no_more_than_the_limit_is_asked_within_a_minute() {
    let (place, asked) = server(&[]).await;
    let mut settings = whois(place).settings;
    settings.per_minute = 2;
    let whois = Whois::new(settings);
    for last in 1..=2 {
        whois.look_up(ip(&format!("8.8.8.{last}"))).await.unwrap();
    }
    assert_eq!(whois.look_up(ip("8.8.8.3")).await, Err(WhoisError::TooMany(2)));
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_referral_in_a_circle_or_to_nobody_does_not_spoil_what_is_known() {
    // Nobody listens at the discard port.
    let (place, asked) = server(&["netname: A\nrefer: 127.0.0.1:9\n"]).await;
    let answer = whois(place).look_up(ip("8.8.4.4")).await.unwrap();
    assert_eq!(answer.text, "netname: A\nrefer: 127.0.0.1:9\n");
    assert_eq!(asked.lock().unwrap().len(), 1);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    let circle = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.read_line(&mut String::new()).await.unwrap();
        stream.write_all(format!("refer: {place}\n").as_bytes()).await.unwrap();
        drop(stream);
        // A second question would be answered by nobody, and time out.
        std::future::pending::<()>().await;
    });
    let answer = whois(place).look_up(ip("8.8.4.4")).await.unwrap();
    assert_eq!(answer.text, format!("refer: {place}\n"));
    circle.abort();
}

#[tokio::test]
async fn a_server_that_says_nothing_costs_no_more_than_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = whois(listener.local_addr().unwrap()).settings;
    settings.timeout = Duration::from_millis(50);
    let whois = Whois::new(settings);
    let found = whois.look_up(ip("8.8.8.8")).await;
    assert_eq!(found, Err(WhoisError::TimedOut(Duration::from_millis(50))));
    // The failure is remembered: nobody waits for it twice.
    drop(listener);
    assert_eq!(whois.look_up(ip("8.8.8.8")).await, found);
}

#[tokio::test]
async fn a_flood_of_an_answer_is_cut() {
    let flood = "descr: x\n".repeat(200_000);
    let (place, _) = server(&[&flood]).await;
    let answer = whois(place).look_up(ip("8.8.8.8")).await.unwrap();
    assert!(answer.text.len() < 9_000, "{} bytes", answer.text.len());
    assert!(answer.text.ends_with("[...]\n"));
}

#[tokio::test]
async fn what_no_registry_knows_is_not_asked_for() {
    let (place, asked) = server(&[]).await;
    let whois = whois(place);
    for address in
        ["127.0.0.1", "10.1.2.3", "100.64.0.1", "192.0.2.1", "fe80::1", "fd00::1", "2001:db8::1"]
    {
        assert_eq!(whois.look_up(ip(address)).await, Err(WhoisError::NotPublic(ip(address))));
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_strangers_referral_into_our_own_network_is_not_followed() {
    let (inside, asked) = server(&["secret\n"]).await;
    let server = WhoisServer { host: inside.ip().to_string(), port: inside.port() };
    let refused = ask::ask(&server, ip("8.8.8.8"), Reach::Public).await;
    assert!(refused.unwrap_err().contains("no address that may be queried"));
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn nothing_that_a_terminal_or_a_mail_takes_for_a_command_is_left() {
    let text =
        answer::readable("a\u{1b}[2Jb\tc\r\nBcc: x@example.org\r\n\u{202e}evil \"quoted\" é\n\0\n");
    assert_eq!(text, "a?[2Jb c\nBcc: x@example.org\n?evil \"quoted\" é\n?\n");
    assert!(answer::readable(&"é".repeat(100_000)).len() < 9_000);
}

#[test]
fn referrals_are_read_in_the_forms_that_registries_use() {
    let referral = |text: &str| answer::referral(text).map(|s| (s.host, s.port));
    let host = |host: &str, port| Some((host.to_owned(), port));
    assert_eq!(referral("% x\nrefer:        whois.ripe.net\n"), host("whois.ripe.net", 43));
    assert_eq!(referral("ReferralServer:  whois://WHOIS.apnic.net\n"), host("whois.apnic.net", 43));
    assert_eq!(referral("ReferralServer: whois://a.example:4343/\n"), host("a.example", 4343));
    assert_eq!(referral("refer: [2001:db8::43]:44\n"), host("2001:db8::43", 44));
    for none in [
        "ReferralServer: rwhois://rwhois.example:4321\n",
        "netname: x\n",
        "refer: \n",
        "refer: a b\n",
        "refer: a:99999\n",
        "refer: a:\n",
        "refer: a\u{1b}b\n",
    ] {
        assert_eq!(referral(none), None, "{none:?}");
    }
}
