mod receiver;

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sipward_engine::Alarm;
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{DeliveryStats, apart, tls};
use receiver::{Answer, Posted, Receiver};
use sipward_model::record::Record;

const FAST: Retry = Retry {
    backoff: Backoff { first: Duration::from_millis(20), longest: Duration::from_millis(20) },
    attempts: 5,
};

/// A hook under test.
struct Hooked {
    records: broadcast::Sender<Arc<Record>>,
    ledger: Arc<DeliveryStats>,
    stop: CancellationToken,
    done: oneshot::Receiver<()>,
}

impl Hooked {
    fn start(url: &str, secret: Option<&str>, trusted: Option<&'static [u8]>) -> Self {
        let (records, _) = broadcast::channel(256);
        let (ledger, stop) =
            (Arc::new(DeliveryStats::new("webhook".to_owned())), CancellationToken::new());
        let hearing = EventReceiver::new(&records, Arc::clone(&ledger), stop.clone());
        let mut post =
            Post::new(url.parse().unwrap(), Duration::from_secs(20), secret.map(Secret::new));
        if let Some(pem) = trusted {
            post = post
                .with_tls(tls::trusting([CertificateDer::from_pem_slice(pem).unwrap()]).unwrap());
        }
        let events = WebhookSettings::default().events;
        let done =
            apart(move || Box::pin(deliver(post, events, hearing, Clock::start(None), FAST)));
        Self { records, ledger, stop, done: done.unwrap() }
    }

    fn tell(&self, record: Record) {
        self.records.send(Arc::new(record)).unwrap();
    }

    async fn finish(self) -> crate::Delivery {
        self.stop.cancel();
        self.done.await.unwrap();
        self.ledger.read()
    }
}

fn alarm(bans: u32) -> Record {
    Record::Alarm(Alarm::ManyBans { bans })
}

fn number(posted: &Posted) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(&posted.body).unwrap();
    body["bans"].as_u64().unwrap()
}

#[tokio::test]
async fn a_receiver_that_fails_first_gets_all_in_order_signed_and_once_accepted() {
    let mut receiver =
        Receiver::start(&[Answer::Status(500), Answer::HangUp, Answer::Status(429)]).await;
    let hooked = Hooked::start(&receiver.url("/hook?a=b"), Some("k3y"), None);
    for bans in 1..=3 {
        hooked.tell(alarm(bans));
    }
    let mut posted = Vec::new();
    for _ in 0..6 {
        posted.push(receiver.next().await);
    }
    assert_eq!(posted.iter().map(number).collect::<Vec<_>>(), [1, 1, 1, 1, 2, 3]);
    let ids: Vec<_> = posted.iter().map(|posted| &posted.headers["x-sipward-delivery"]).collect();
    assert!(ids[..4].iter().all(|id| *id == ids[0]), "one delivery, one name: {ids:?}");
    assert!(ids[4] != ids[0] && ids[5] != ids[4], "{ids:?}");
    for Posted { line, headers, body } in &posted {
        assert_eq!(line, "POST /hook?a=b HTTP/1.1");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["x-sipward-event"], "alarm");
        let expected = signature(&Secret::new("k3y"), body).unwrap();
        assert_eq!(headers["x-sipward-signature"], expected);
    }
    let line: Line = serde_json::from_slice(&posted[0].body).unwrap();
    assert_eq!((line.event.as_str(), &line.fields["alarm"]), ("alarm", &"many_bans".into()));
    let counts = hooked.finish().await;
    // A kept connection that is gone costs a new one, and counts as no failure.
    assert_eq!((counts.delivered, counts.failed, counts.lost), (3, 2, 0));
}

#[tokio::test]
async fn what_the_receiver_does_not_want_is_given_up_and_the_next_goes_on() {
    let mut receiver = Receiver::start(&[Answer::Status(400), Answer::Status(302)]).await;
    let hooked = Hooked::start(&receiver.url("/"), None, None);
    for bans in 1..=3 {
        hooked.tell(alarm(bans));
    }
    for bans in 1..=3 {
        let posted = receiver.next().await;
        assert_eq!(number(&posted), bans);
        assert!(!posted.headers.contains_key("x-sipward-signature"), "there is no secret");
    }
    let counts = hooked.finish().await;
    assert_eq!((counts.delivered, counts.lost), (1, 2));
    assert_eq!(receiver.connections(), 1, "one connection serves them all");
}

#[tokio::test]
async fn only_what_is_wanted_is_posted() {
    let mut receiver = Receiver::start(&[]).await;
    let hooked = Hooked::start(&receiver.url("/"), None, None);
    hooked.tell(Record::LogLost { lines: 1 });
    hooked.tell(alarm(7));
    assert_eq!(number(&receiver.next().await), 7);
    assert_eq!(hooked.finish().await.delivered, 1);
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_failure() {
    let mut receiver = Receiver::start(&[Answer::LastWord, Answer::LastWord]).await;
    let hooked = Hooked::start(&receiver.url("/"), None, None);
    for bans in 1..=3 {
        hooked.tell(alarm(bans));
        assert_eq!(number(&receiver.next().await), u64::from(bans));
    }
    let counts = hooked.finish().await;
    assert_eq!((counts.delivered, counts.failed), (3, 0));
}

const CERTIFICATE: &[u8] = include_bytes!("tests/certificate.pem");
const KEY: &[u8] = include_bytes!("tests/key.pem");

fn tls_server() -> tokio_rustls::TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config).into()
}

#[tokio::test]
async fn https_is_spoken_with_a_receiver_that_the_system_trusts() {
    let mut receiver = Receiver::over_tls(tls_server()).await;
    let hooked = Hooked::start(&receiver.url("/"), None, Some(CERTIFICATE));
    hooked.tell(alarm(1));
    assert_eq!(number(&receiver.next().await), 1);
    assert_eq!(hooked.finish().await.delivered, 1);
}

#[tokio::test]
async fn a_receiver_with_another_certificate_gets_nothing() {
    let mut receiver = Receiver::over_tls(tls_server()).await;
    // Trusts nobody that this receiver could be.
    let post = Post::new(receiver.url("/").parse().unwrap(), Duration::from_secs(20), None);
    let mut post = post.with_tls(tls::trusting([]).unwrap());
    let line = sipward_model::record::line(&alarm(1), Clock::start(None).now());
    let delivery = Delivery::of(&line, &mut fastrand::Rng::with_seed(1));
    match post.deliver(&delivery).await {
        Err(crate::Failure::Later(error)) => assert!(error.starts_with("TLS: "), "{error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(receiver.rest(), []);
}

#[test]
fn the_signature_is_hmac_sha256() {
    // RFC 4231 section 4.3, test case 2.
    let signed = signature(&Secret::new("Jefe"), b"what do ya want for nothing?").unwrap();
    assert_eq!(signed, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

#[test]
fn urls_are_taken_apart_and_their_secret_path_is_not_told() {
    let target = |url: &str| url.parse::<WebhookUrl>();
    let chat = target("https://chat.example.org/hooks/s3cret?x=1").unwrap();
    assert_eq!((chat.host(), chat.port(), chat.is_secure()), ("chat.example.org", 443, true));
    assert_eq!(chat.path(), "/hooks/s3cret?x=1");
    assert!(!format!("{chat:?}").contains("s3cret"));
    let local = target("http://[::1]:8080").unwrap();
    assert_eq!((local.host(), local.port(), local.path()), ("::1", 8080, "/"));
    assert!(!local.is_secure());
    for (wrong, why) in [
        ("ftp://example.org/", "neither"),
        ("example.org", "neither"),
        ("/hook", "neither"),
        ("https://user:s3cret@example.org/", "password"),
        ("https://", "URL"),
        ("https://example.org:99999/", "port"),
    ] {
        let error = target(wrong).unwrap_err();
        assert!(error.contains(why), "{wrong} gave {error}");
    }
    assert!(target(&format!("https://example.org/{}", "x".repeat(3_000))).is_err());
}

#[tokio::test]
async fn a_test_is_posted_once_and_its_answer_told() {
    let mut receiver = Receiver::start(&[Answer::Status(204), Answer::Status(503)]).await;
    let hook = |url: String| {
        let settings =
            WebhookSettings { targets: vec![url.parse().unwrap()], ..WebhookSettings::default() };
        Hook::all(&settings, Some(&Secret::new("k3y"))).pop().unwrap()
    };
    let now = Clock::start(None).now();
    let accepting = hook(receiver.url("/room/s3cret"));
    assert!(!accepting.place().contains("s3cret"), "{}", accepting.place());
    assert_eq!(accepting.send_test(now).await, Ok(204));
    let posted = receiver.next().await;
    assert_eq!(posted.headers["x-sipward-event"], "test");
    assert_eq!(
        posted.headers["x-sipward-signature"],
        signature(&Secret::new("k3y"), &posted.body).unwrap()
    );
    let line: Line = serde_json::from_slice(&posted.body).unwrap();
    assert!(line.fields["text"].as_str().unwrap().contains("test"), "{line:?}");

    let error = hook(receiver.url("/")).send_test(now).await.unwrap_err();
    assert!(error.contains("503"), "{error}");
    assert_eq!(receiver.rest().len(), 1, "it is not tried again");
}
