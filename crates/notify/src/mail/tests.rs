mod sink;

use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{
    Alarm, Cause, Details, Evidence, Expiry, Grade, Identity, RuleName, Scope, Text,
};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::tests::until;
use crate::{DeliveryStats, apart};
use sink::{Mail, Sink};
use sipward_config::{
    Login, MailSettings, MailTls, MailTransport, Secret, WhoisServer, WhoisSettings,
};
use sipward_model::record::Ban;

const FAST: Retry = Retry {
    backoff: Backoff { first: Duration::from_millis(20), longest: Duration::from_millis(20) },
    attempts: 4,
};

/// A mailer under test, writing to a sink.
struct Mailing {
    records: broadcast::Sender<Arc<Record>>,
    ledger: Arc<DeliveryStats>,
    stop: CancellationToken,
    done: oneshot::Receiver<()>,
}

impl Mailing {
    fn start(settings: &MailSettings, login: Option<&Login>, whois: WhoisSettings) -> Self {
        let (records, _) = broadcast::channel(256);
        let (ledger, stop) =
            (Arc::new(DeliveryStats::new(NAME.to_owned())), CancellationToken::new());
        let hearing = EventReceiver::new(&records, Arc::clone(&ledger), stop.clone());
        let mailer = Mailer::new(settings, login).unwrap().unwrap();
        let whois = Arc::new(Whois::new(whois));
        let done =
            apart(move || Box::pin(deliver(mailer, hearing, whois, Clock::start(None), FAST)));
        let done = done.unwrap();
        Self { records, ledger, stop, done }
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

fn settings(sink: &Sink) -> MailSettings {
    let way =
        MailTransport::Smtp { host: "127.0.0.1".to_owned(), port: sink.port(), tls: MailTls::Off };
    MailSettings {
        to: vec!["NOC <noc@example.org>".parse().unwrap()],
        from: Some("sipward@pbx.example.org".parse().unwrap()),
        way,
        digest: Duration::from_millis(100),
        whois: false,
    }
}

fn ban(net: &str, user: &str) -> Record {
    let source: IpNet = net.parse().unwrap();
    let cause = Cause::Rule(Evidence {
        rule: RuleName::Failures,
        identity: Identity::Stranger,
        address: source.addr(),
        failures: 5,
        max_failures: 5,
        window: Duration::from_secs(600),
        grade: Grade::Answered,
        score: 5.0,
        ban_count: 1,
        details: Some(Box::new(Details {
            users: vec![Text::new(user)],
            profile: Text::new("internal"),
            user_agent: Text::new("friendly-scanner"),
            reason: None,
        })),
    });
    Record::Ban(Ban {
        enforced: true,
        ..Ban::decided(source, Scope::Host, Expiry::Never, Arc::new(cause))
    })
}

/// Whois that nobody answers.
async fn deaf() -> (WhoisSettings, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (asking(&listener), listener)
}

fn asking(listener: &TcpListener) -> WhoisSettings {
    let place = listener.local_addr().unwrap();
    let server = WhoisServer { host: place.ip().to_string(), port: place.port() };
    WhoisSettings { server, per_minute: 600, ..WhoisSettings::default() }
}

#[tokio::test]
async fn many_bans_are_one_mail_with_bounded_text() {
    let mut sink = Sink::start().await;
    let mailing = Mailing::start(&settings(&sink), None, WhoisSettings::default());
    for n in 0..80 {
        mailing.tell(ban(&format!("203.0.113.{n}/32"), "1000"));
    }
    let Mail { from, to, headers, text } = sink.next().await;
    assert_eq!(
        (from.as_str(), to.as_slice()),
        ("sipward@pbx.example.org", &["noc@example.org".to_owned()][..])
    );
    assert_eq!(headers["to"], "NOC <noc@example.org>");
    assert!(headers["subject"].ends_with(": 80 bans"), "{headers:?}");
    assert_eq!(headers["auto-submitted"], "auto-generated");
    assert!(headers["message-id"].ends_with("@pbx.example.org>"), "{headers:?}");
    assert!(headers.contains_key("date") && headers.contains_key("mime-version"));
    assert!(text.contains("\nban 203.0.113.49/32 "), "{text}");
    assert!(!text.contains("203.0.113.50"), "{text}");
    assert!(text.contains("\nand 30 more; "), "{text}");
    assert_eq!(mailing.finish().await.delivered, 1);
    assert_eq!(sink.rest(), []);
}

#[tokio::test]
async fn what_a_stranger_wrote_cannot_become_a_header_a_line_or_a_command() {
    let mut sink = Sink::start().await;
    let mailing = Mailing::start(&settings(&sink), None, WhoisSettings::default());
    let evil = "x\r\n.\r\nMAIL FROM:<a@b>\r\nBcc: c@d\u{1b}[2J\u{202e}";
    let user = Text::new(evil);
    mailing.tell(Record::Alarm(Alarm::AccountAttacked { user, sources: 12 }));
    mailing.tell(ban("203.0.113.7/32", evil));
    let alarm = sink.next().await;
    let digest = sink.next().await;
    for Mail { headers, text, to, .. } in [&alarm, &digest] {
        assert_eq!(to, &["noc@example.org"]);
        assert!(!headers.contains_key("bcc"), "{headers:?}");
        assert!(!text.lines().any(|line| line == "." || line.starts_with("Bcc:")), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{text:?}");
        assert!(text.contains("x\\r\\n.\\r\\nMAIL FROM:"), "it is shown, escaped: {text}");
    }
    assert!(alarm.headers["subject"].contains("is attacked from 12 sources"), "{alarm:?}");
    mailing.finish().await;
    assert_eq!(sink.rest(), []);
}

#[tokio::test]
async fn an_alarm_does_not_wait_for_the_digest_and_a_second_one_waits_a_minute() {
    let mut sink = Sink::start().await;
    let settings = MailSettings { digest: Duration::from_secs(3_600), ..settings(&sink) };
    let mailing = Mailing::start(&settings, None, WhoisSettings::default());
    mailing.tell(ban("203.0.113.7/32", "1000"));
    mailing.tell(Record::Alarm(Alarm::ManyBans { bans: 700 }));
    let first = sink.next().await;
    assert!(first.headers["subject"].contains("ALARM 700 bans"), "{first:?}");
    assert!(!first.text.contains("203.0.113.7"), "{first:?}");
    mailing.tell(Record::Alarm(Alarm::ManyBans { bans: 701 }));
    mailing.tell(Record::Alarm(Alarm::BanTableFull { max_bans: 9 }));
    // What waits is said at the end.
    assert_eq!(mailing.finish().await.delivered, 3);
    let second = sink.next().await;
    assert!(second.headers["subject"].ends_with("(and 1 more)"), "{second:?}");
    assert!(second.text.contains("701") && second.text.contains("full (9)"), "{second:?}");
    assert!(sink.next().await.text.contains("203.0.113.7/32"));
}

#[tokio::test]
async fn a_password_that_may_have_been_guessed_waits_neither_for_the_digest_nor_for_the_minute() {
    let mut sink = Sink::start().await;
    let settings = MailSettings { digest: Duration::from_secs(3_600), ..settings(&sink) };
    let mailing = Mailing::start(&settings, None, WhoisSettings::default());
    mailing.tell(Record::Alarm(Alarm::ManyBans { bans: 700 }));
    assert!(sink.next().await.headers["subject"].contains("ALARM 700 bans"));
    mailing.tell(Record::Alarm(Alarm::ManyBans { bans: 701 }));
    mailing.tell(Record::Alarm(Alarm::Guessed {
        user: Text::new("1003"),
        address: "203.0.113.7".parse().unwrap(),
        failures: 14,
        first_failure_seconds_before: Some(90),
        strangers: 0,
    }));
    let mail = sink.next().await;
    assert!(
        mail.text.contains(
            "ALARM user 1003 logged in from new address 203.0.113.7 after 14 failures there: \
             the password may have been guessed\n"
        ),
        "{mail:?}"
    );
    assert_eq!(mailing.finish().await.delivered, 2);
    assert_eq!(sink.rest(), []);
}

#[tokio::test]
async fn a_server_that_refuses_for_now_is_tried_again_with_the_same_message() {
    let mut sink = Sink::refusing(2).await;
    let mailing = Mailing::start(&settings(&sink), None, WhoisSettings::default());
    mailing.tell(ban("203.0.113.7/32", "1000"));
    let mail = sink.next().await;
    assert_eq!(sink.refused_ids(), vec![mail.headers["message-id"].clone(); 2]);
    let counts = mailing.finish().await;
    assert_eq!((counts.delivered, counts.failed, counts.lost), (1, 2, 0));
}

#[tokio::test]
async fn one_refused_recipient_does_not_keep_the_others_from_their_mail() {
    let mut sink = Sink::start().await;
    let mut settings = settings(&sink);
    settings.to.insert(0, "nobody@example.org".parse().unwrap());
    let mailing = Mailing::start(&settings, None, WhoisSettings::default());
    mailing.tell(ban("203.0.113.7/32", "1000"));
    assert_eq!(sink.next().await.to, ["noc@example.org"]);
    let counts = mailing.finish().await;
    assert_eq!((counts.delivered, counts.lost), (1, 1));
}

#[tokio::test]
async fn whois_is_in_the_mail_when_it_has_come() {
    let registry = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asking = asking(&registry);
    tokio::spawn(sink::registry(registry, "% x\nnetname: EVIL\nban 192.0.2.1/32 forged\n"));
    let mut sink = Sink::start().await;
    let settings = MailSettings { whois: true, ..settings(&sink) };
    let mailing = Mailing::start(&settings, None, asking);
    // The first mail may be too early for it, but not all of them.
    for round in 0.. {
        assert!(round < 100, "no whois in any mail");
        mailing.tell(ban("8.8.8.8/32", "1000"));
        let text = sink.next().await.text;
        if text.contains(
            "whois 8.8.8.8 (127.0.0.1):\n\n    netname: EVIL\n    ban 192.0.2.1/32 forged\n",
        ) {
            break;
        }
    }
    mailing.finish().await;
}

#[tokio::test]
async fn nobody_waits_for_whois() {
    let (deaf, listener) = deaf().await;
    let mut sink = Sink::start().await;
    let settings = MailSettings { whois: true, ..settings(&sink) };
    let mailing = Mailing::start(&settings, None, deaf);
    mailing.tell(ban("8.8.8.8/32", "1000"));
    // It would take ten seconds to give up.
    let mail = sink.next().await;
    assert!(mail.text.contains("ban 8.8.8.8/32") && !mail.text.contains("whois"), "{mail:?}");
    mailing.finish().await;
    drop(listener);
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing_when_tls_is_wanted() {
    let mut sink = Sink::start().await;
    let mut settings = settings(&sink);
    settings.way = MailTransport::Smtp {
        host: "127.0.0.1".to_owned(),
        port: sink.port(),
        tls: MailTls::Starttls,
    };
    let mailing = Mailing::start(&settings, None, WhoisSettings::default());
    mailing.tell(ban("203.0.113.7/32", "1000"));
    until("a failed mail", || mailing.ledger.read().failed > 0).await;
    assert_eq!(mailing.finish().await.delivered, 0);
    assert_eq!(sink.rest(), []);
}

#[tokio::test]
async fn a_password_logs_in_on_this_host_and_is_never_sent_elsewhere_in_clear() {
    let login = Login { user: "pbx".to_owned(), password: Secret::new("s3cret") };
    let mut sink = Sink::start().await;
    let mailing = Mailing::start(&settings(&sink), Some(&login), WhoisSettings::default());
    mailing.tell(ban("203.0.113.7/32", "1000"));
    sink.next().await;
    assert_eq!(sink.logins(), ["\0pbx\0s3cret"]);
    mailing.finish().await;

    let mut elsewhere = settings(&sink);
    elsewhere.way =
        MailTransport::Smtp { host: "mail.example.org".to_owned(), port: 25, tls: MailTls::Off };
    let refused = Mailer::new(&elsewhere, Some(&login)).unwrap_err().to_string();
    assert!(refused.contains("unencrypted") && !refused.contains("s3cret"), "{refused}");
    elsewhere.way =
        MailTransport::Smtp { host: "mail.example.org".to_owned(), port: 465, tls: MailTls::Tls };
    assert!(!format!("{:?}", Mailer::new(&elsewhere, Some(&login))).contains("s3cret"));
}

#[tokio::test]
async fn sendmail_gets_the_mail_on_its_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let (program, file) = (directory.path().join("sendmail"), directory.path().join("mail"));
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >{0}.args\ncat >{0}.part && mv {0}.part {0}\n",
        file.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let sink = Sink::start().await;
    let settings = MailSettings { way: MailTransport::Sendmail(program), ..settings(&sink) };
    let mailing = Mailing::start(&settings, None, WhoisSettings::default());
    mailing.tell(ban("203.0.113.7/32", "1000"));
    until("the mail of sendmail", || file.exists()).await;
    let mail = std::fs::read_to_string(&file).unwrap();
    let arguments = std::fs::read_to_string(file.with_extension("args")).unwrap();
    assert!(mail.contains("203.0.113.7/32") && mail.contains("Subject: sipward on "), "{mail}");
    assert!(arguments.lines().any(|argument| argument == "noc@example.org"), "{arguments}");
    mailing.finish().await;
}

#[test]
fn freeswitch_that_is_away_for_a_moment_is_no_alarm_and_for_a_minute_is_one() {
    let away = Record::EslDisconnected { error: "refused".to_owned(), retry_in_seconds: 1.0 };
    let back = Record::EslConnected { peer: "127.0.0.1:8021".parse().unwrap() };
    let (mut collector, begin) = (Collector::new(Duration::from_secs(300)), Instant::now());
    let at = |seconds| begin + Duration::from_secs(seconds);
    collector.note(&away, at(0));
    collector.note(&away, at(30));
    assert_eq!(collector.due(), Some(at(60)));
    assert_eq!(collector.alarms(at(59)), None);
    collector.note(&back, at(59));
    assert_eq!((collector.due(), collector.alarms(at(61))), (None, None));

    collector.note(&away, at(100));
    let alarm = collector.alarms(at(160)).unwrap();
    assert!(alarm.subject.contains("no FreeSWITCH: refused"), "{alarm:?}");
    collector.note(&away, at(170));
    collector.note(&back, at(180));
    // Not before a minute after the last letter.
    assert_eq!((collector.alarms(at(200)), collector.due()), (None, Some(at(220))));
    let relief = collector.alarms(at(220)).unwrap();
    assert!(relief.subject.starts_with("connected to FreeSWITCH"), "{relief:?}");
    assert_eq!(collector.due(), None);
}

#[tokio::test]
async fn a_test_goes_to_each_recipient_once_and_an_error_is_told() {
    let mut sink = Sink::start().await;
    let mut settings = settings(&sink);
    settings.to.push("duty@example.org".parse().unwrap());
    let mailer = Mailer::new(&settings, None).unwrap().unwrap();
    assert_eq!(mailer.way(), format!("127.0.0.1:{}", sink.port()));
    let now = Clock::start(None).now();
    let sent = mailer.send_test(now).await;
    let delivered = |address: &str| (address.to_owned(), Ok(()));
    assert_eq!(sent, [delivered("noc@example.org"), delivered("duty@example.org")]);
    let mut to = Vec::new();
    for _ in 0..2 {
        let mail = sink.next().await;
        assert!(mail.headers["subject"].ends_with(": test mail"), "{mail:?}");
        assert!(mail.text.contains("Nothing happened."), "{mail:?}");
        to.extend(mail.to);
    }
    to.sort();
    assert_eq!(to, ["duty@example.org", "noc@example.org"]);

    let mut busy = Sink::refusing(1).await;
    let MailTransport::Smtp { port, .. } = &mut settings.way else { panic!("SMTP") };
    *port = busy.port();
    settings.to.pop();
    let mailer = Mailer::new(&settings, None).unwrap().unwrap();
    let refused = mailer.send_test(now).await.pop().unwrap().1;
    assert!(refused.is_err(), "{refused:?}");
    assert!(busy.rest().is_empty(), "it is not tried again");
}
