//! FreeSWITCH, over a separate connection: the daemon's is not used.

mod people;

use std::time::{Duration, Instant, SystemTime};

use sipward_esl::client::{ClientError, Connection};
use sipward_esl::{Command, Event, Format, JobUuid, Limits, Subscription};
use tokio::time::{timeout, timeout_at};

use super::{Check, Heartbeat};
use sipward_config::{Config, Credentials};
use sipward_daemon as daemon;
use sipward_daemon::lists::Decided;
use sipward_model::clock;
use sipward_model::text::Plain;

/// Longest wait for log-in, subscription and each answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Difference of the clocks that needs a look. FreeSWITCH's moves in steps of 20 ms, and an event may
/// wait for one round of its listener.
const SKEW: Duration = Duration::from_secs(2);

const REACHED: &str = "event socket";
const EVENTS: &str = "events";
const HEARTBEAT: &str = "heartbeat";
const CLOCK: &str = "clock";
const LOG: &str = "log-auth-failures";
const PERMISSIONS: &str = "permissions";
const GATEWAYS: &str = "gateways";
const LISTS: &str = "access lists";
const PORTS: &str = "sip ports";

/// All behind the connection, in this order.
const BEHIND: [&str; 8] = [EVENTS, HEARTBEAT, CLOCK, LOG, PERMISSIONS, GATEWAYS, LISTS, PORTS];

/// Nine checks.
pub(super) async fn checks(
    config: &Config,
    credentials: Option<&Credentials>,
    heartbeat: Heartbeat,
) -> Vec<Check> {
    let Some(credentials) = credentials else {
        return unreached(Check::fail(REACHED, "not tried without credentials", "see above"));
    };
    let connected = connect(config, credentials).await;
    let mut session = match connected {
        Ok(session) => session,
        Err(error) => {
            return unreached(Check::fail(REACHED, error.to_string(), advice(&error)));
        }
    };
    let found = format!("logged in to {}:{}", credentials.host, credentials.port);
    let reached = Check::ok(REACHED, found);
    let refused = match session.subscribe().await {
        Ok(refused) => refused,
        Err(error) => {
            let lost = Check::fail(EVENTS, error.to_string(), advice(&error));
            let rest = BEHIND.iter().skip(1).map(|name| blind(name));
            return [reached, lost].into_iter().chain(rest).collect();
        }
    };
    let started = Instant::now();
    let (events, clock) = session.events().await;
    let log = session.log_auth_failures().await;
    let permissions = session.permissions(&refused).await;
    let gateways = session.gateways().await;
    let lists = session.access_lists(&config.allow_acl).await;
    let ports = session.sip_ports(config).await;
    let heartbeat = match heartbeat {
        Heartbeat::Within(patience) => session.heartbeat(started, patience).await,
        Heartbeat::Heard => {
            Check::ok(HEARTBEAT, "arrives: the daemon closes a connection without it")
        }
    };
    vec![reached, events, heartbeat, clock, log, permissions, gateways, lists, ports]
}

/// What FreeSWITCH says of gateways and access lists, which sipward protects by itself.
///
/// # Errors
/// When FreeSWITCH cannot be asked.
pub(crate) async fn protected(
    config: &Config,
    credentials: &Credentials,
) -> Result<[Check; 2], ClientError> {
    let mut session = connect(config, credentials).await?;
    session.subscribe().await?;
    Ok([session.gateways().await, session.access_lists(&config.allow_acl).await])
}

/// A connection that is logged in, each step `within` this time.
///
/// # Errors
/// Those of the client.
pub(crate) async fn log_in(
    credentials: &Credentials,
    within: Duration,
) -> Result<Connection, ClientError> {
    let Credentials { host, port, user, password } = credentials;
    let mut connection = Connection::connect(host, *port, Limits::default(), within).await?;
    connection.login(user.as_deref(), password, within).await?;
    Ok(connection)
}

/// What the access lists of `allow_acl` come to.
#[derive(Debug)]
pub(crate) struct AccessLists {
    pub(crate) decided: Decided,
    /// Lists about which FreeSWITCH gave no answer, and why.
    pub(crate) unanswered: Option<(Vec<String>, String)>,
}

/// The access lists alone. What is known of them after `within` has to do.
///
/// # Errors
/// When FreeSWITCH cannot be asked, with the reason.
pub(super) async fn access_lists(
    wanted: &[String],
    credentials: &Credentials,
    within: Duration,
) -> Result<AccessLists, String> {
    let deadline = Instant::now() + within;
    let connected = async {
        let mut connection = log_in(credentials, within).await?;
        // The answers of `bgapi`, and no event of a busy FreeSWITCH besides.
        let answers = Subscription::new(Format::Plain).event("BACKGROUND_JOB")?;
        let refused = connection.subscribe_optional(&answers, within).await?;
        Ok::<_, ClientError>((connection, refused))
    };
    let (connection, refused) = timeout_at(deadline.into(), connected)
        .await
        .map_err(|_| format!("no answer within {} s", within.as_secs()))?
        .map_err(|error| error.to_string())?;
    if refused.iter().any(|name| name == "BACKGROUND_JOB") {
        return Err(
            "its user may not receive the event BACKGROUND_JOB (esl-allowed-events)".to_owned()
        );
    }
    let mut session = Session { connection, heartbeat: None, deadline: Some(deadline) };
    Ok(session.decide(wanted).await)
}

/// Nothing behind the connection can be looked at.
fn unreached(reached: Check) -> Vec<Check> {
    std::iter::once(reached).chain(BEHIND.iter().map(|name| blind(name))).collect()
}

fn blind(name: &'static str) -> Check {
    Check::warn(name, "not checked: no connection", "see above")
}

/// Errors of the client say what to do where they can.
fn advice(error: &ClientError) -> String {
    let text = match error {
        ClientError::Connect { .. } | ClientError::Timeout { .. } => {
            "is FreeSWITCH running, mod_event_socket loaded, and listening there (listen-ip, listen-port in \
             event_socket.conf.xml)? Set another host or port with ESL_HOST and ESL_PORT"
        }
        ClientError::WrongPassword { .. } => "correct the password",
        ClientError::AclRejected => "change the access list and `reload mod_event_socket`",
        ClientError::NotAllowed { .. } => {
            "allow these events for the user, or use the password without a user"
        }
        _ => "see FreeSWITCH's log",
    };
    text.to_owned()
}

struct Session {
    connection: Connection,
    /// A HEARTBEAT came while something else was waited for.
    heartbeat: Option<Instant>,
    /// When the last answer is of use; `None`: each may take [`ANSWER`].
    deadline: Option<Instant>,
}

async fn connect(config: &Config, credentials: &Credentials) -> Result<Session, ClientError> {
    let Credentials { host, port, user, password } = credentials;
    let within = config.esl.connect_timeout;
    let mut connection = Connection::connect(host, *port, Limits::default(), within).await?;
    connection.login(user.as_deref(), password, ANSWER).await?;
    Ok(Session { connection, heartbeat: None, deadline: None })
}

impl Session {
    /// To what the daemon subscribes, and to the answers of `bgapi`. Gives the names that are refused.
    async fn subscribe(&mut self) -> Result<Vec<String>, ClientError> {
        let needed = Subscription::sofia_required().event("BACKGROUND_JOB")?;
        let mut refused = self.connection.subscribe_optional(&needed, ANSWER).await?;
        let optional = daemon::optional_events()?;
        refused.extend(self.connection.subscribe_optional(&optional, ANSWER).await?);
        Ok(refused)
    }

    /// FreeSWITCH answers `+OK` to any subscription, so only an event that comes proves anything: the one
    /// that answers `bgapi`. It also carries FreeSWITCH's time.
    async fn events(&mut self) -> (Check, Check) {
        let no_clock = || Check::warn(CLOCK, "not checked: no event arrived", "see above");
        let job = match self.job("module_exists mod_sofia").await {
            Ok(job) => job,
            Err(error) => {
                let advice = "the user of the Event Socket needs the API (esl-allowed-api): without \
                              it phones, gateways and access lists are unknown";
                return (Check::warn(EVENTS, error, advice), no_clock());
            }
        };
        let events = match job.text.trim() {
            "true" => Check::ok(EVENTS, "events arrive, and mod_sofia is loaded"),
            "false" => Check::fail(
                EVENTS,
                "events arrive, but mod_sofia is not loaded: there are no log-ins",
                "`fs_cli -x 'load mod_sofia'`",
            ),
            other => Check::warn(
                EVENTS,
                format!("events arrive; unknown whether mod_sofia is loaded: {}", Plain(other)),
                "see `fs_cli -x 'module_exists mod_sofia'`",
            ),
        };
        (events, clock(&job.event, job.received))
    }

    async fn log_auth_failures(&mut self) -> Check {
        // The configuration as FreeSWITCH has it, also where it comes from a database (FusionPBX).
        let question = "xml_locate configuration configuration name sofia.conf";
        let unknown = |why: &str| Check::ok(LOG, format!("unknown: {why}"));
        match self.job(question).await {
            Err(error) => unknown(&error),
            Ok(job) => match people::profiles_with_log(&job.text) {
                Err(error) => unknown(&error),
                Ok(profiles) if profiles.is_empty() => {
                    Check::ok(LOG, "off; sipward needs no log line")
                }
                Ok(profiles) => {
                    let profiles = profiles.join(", ");
                    let found = format!(
                        "on in profile {profiles}; sipward needs no log line, and each challenge costs one"
                    );
                    Check::ok(LOG, found)
                }
            },
        }
    }

    /// The daemon takes a connection without HEARTBEAT for dead.
    async fn heartbeat(&mut self, since: Instant, patience: Duration) -> Check {
        if self.heartbeat.is_none() && patience.is_zero() {
            return Check::ok(HEARTBEAT, "not checked (--no-wait)");
        }
        let deadline = tokio::time::Instant::from_std(since) + patience;
        while self.heartbeat.is_none() {
            match timeout_at(deadline, self.connection.next_frame()).await {
                Ok(Ok(frame)) => {
                    // Log lines and notices are no events, and no answer either.
                    if let Ok(event) = frame.into_event() {
                        self.note(&event);
                    }
                }
                Ok(Err(error)) => {
                    return Check::fail(HEARTBEAT, error.to_string(), advice(&error));
                }
                Err(_) => {
                    return Check::fail(
                        HEARTBEAT,
                        format!("none within {} s", patience.as_secs()),
                        "set event-heartbeat-interval in switch.conf.xml to 20, and allow HEARTBEAT to the \
                         Event Socket user (esl-allowed-events)",
                    );
                }
            }
        }
        let waited = self.heartbeat.map_or(0, |at| at.duration_since(since).as_secs());
        Check::ok(HEARTBEAT, format!("arrived after {waited} s"))
    }

    /// Runs an API command by `bgapi` and waits for the event that answers it.
    async fn job(&mut self, command: &str) -> Result<Job, String> {
        let id = JobUuid(fastrand::Rng::with_seed(clock::seed()).u128(..));
        let request = Command::bgapi(command, id).map_err(|error| error.to_string())?;
        let left = self.deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let patience = left.unwrap_or(ANSWER);
        let answered = timeout(patience, async {
            let reply = self.connection.request(&request).await.map_err(|e| e.to_string())?;
            if reply.is_error() {
                return Err(format!("FreeSWITCH refused bgapi: {reply}"));
            }
            let wanted = id.to_string();
            loop {
                let frame = self.connection.next_frame().await.map_err(|e| e.to_string())?;
                let Ok(event) = frame.into_event() else {
                    continue;
                };
                self.note(&event);
                if event.header("Job-UUID").is_some_and(|job| job == wanted.as_str()) {
                    let text = String::from_utf8_lossy(event.body()).into_owned();
                    return Ok(Job { event, text, received: SystemTime::now() });
                }
            }
        });
        match answered.await {
            Ok(done) => done,
            Err(_) if self.deadline.is_some() => Err("no event answered bgapi in time".to_owned()),
            Err(_) => Err(format!("no event answered bgapi within {} s", ANSWER.as_secs())),
        }
    }

    fn note(&mut self, event: &Event) {
        if event.name().is_some_and(|name| name == "HEARTBEAT") {
            self.heartbeat.get_or_insert_with(Instant::now);
        }
    }
}

/// The answer to a `bgapi`.
struct Job {
    event: Event,
    text: String,
    received: SystemTime,
}

/// Compares FreeSWITCH's time of the event with sipward's time of its arrival.
fn clock(event: &Event, received: SystemTime) -> Check {
    let stamp = event.header("Event-Date-Timestamp");
    let micros = stamp.and_then(|stamp| stamp.to_str()?.parse::<u64>().ok());
    let at =
        micros.and_then(|micros| SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros)));
    let Some(at) = at else {
        return Check::warn(
            CLOCK,
            "the event carries no Event-Date-Timestamp",
            "see FreeSWITCH's log",
        );
    };
    let (skew, way) = match received.duration_since(at) {
        Ok(behind) => (behind, "behind"),
        Err(error) => (error.duration(), "ahead of"),
    };
    let found = format!("FreeSWITCH's clock is {:.2} s {way} sipward's", skew.as_secs_f64());
    if skew > SKEW {
        Check::warn(CLOCK, found, "run an NTP client on both hosts; `fs_cli -x 'fsctl sync_clock'`")
    } else {
        Check::ok(CLOCK, found)
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::State;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn event_at(time: SystemTime) -> Event {
        let micros = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
        Event::from_plain(format!("Event-Name: BACKGROUND_JOB\nEvent-Date-Timestamp: {micros}\n\n"))
    }

    #[test]
    fn clocks_that_differ_are_told_with_the_way() {
        let now = SystemTime::now();
        for (offset, state, way) in [
            (Duration::from_millis(30), State::Ok, "behind"),
            (Duration::from_secs(90), State::Warn, "90.00 s behind"),
        ] {
            let check = clock(&event_at(now - offset), now);
            assert_eq!(check.state, state);
            assert!(check.found.contains(way), "{}", check.found);
        }
        let ahead = clock(&event_at(now + Duration::from_secs(5)), now);
        assert_eq!(ahead.state, State::Warn);
        assert!(ahead.found.contains("5.00 s ahead of"), "{}", ahead.found);
    }

    #[test]
    fn an_event_without_a_time_is_no_panic() {
        let check = clock(&Event::from_plain("Event-Date-Timestamp: soon\n\n"), SystemTime::now());
        assert_eq!(check.state, State::Warn);
    }

    /// Lets everybody in, takes every command, and sends no event.
    async fn serve_without_events(listener: tokio::net::TcpListener) {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"Content-Type: auth/request\n\n").await.unwrap();
        let mut bytes = Vec::new();
        while stream.read_buf(&mut bytes).await.unwrap() > 0 {
            while let Some(end) = bytes.windows(2).position(|pair| pair == b"\n\n") {
                bytes.drain(..end + 2);
                let reply = b"Content-Type: command/reply\nReply-Text: +OK\n\n";
                stream.write_all(reply).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn lists_of_which_freeswitch_says_nothing_in_time_are_named() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(serve_without_events(listener));
        let wanted = ["domains", "trusted"].map(str::to_owned);
        let credentials = Credentials {
            host: "127.0.0.1".to_owned(),
            port,
            user: None,
            password: sipward_esl::Password::new("ClueCon").unwrap(),
        };
        let lists = access_lists(&wanted, &credentials, Duration::from_millis(300)).await.unwrap();
        let (unanswered, why) = lists.unanswered.unwrap();
        assert_eq!(unanswered, wanted);
        assert_eq!(why, "no event answered bgapi in time");
        assert!(lists.decided.unused.is_empty());
    }
}
