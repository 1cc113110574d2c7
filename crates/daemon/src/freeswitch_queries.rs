//! Queries to FreeSWITCH: registrations, addresses of gateways, networks of access control lists, SIP ports; and its
//! log.
//!
//! Asked by `bgapi`, which runs beside the events; `api` would hold them up (`mod_event_socket.c`, `api_exec`). The
//! registrations, which may be tens of megabytes, come over a connection of their own.
//!
//! | file | holds |
//! |---|---|
//! | [`table`] | the table of protected and healthy addresses, owned by the engine's task |
//! | [`phones`] | registrations that stand: part of the table |
//! | `trunks` | gateways and what their names stand for |
//! | `lists` | access lists: which count, and as what |
//! | `ask` | questions and their answers |
//! | `snapshot` | the list of registrations, read in pieces |

mod ask;
pub mod lists;
pub mod phones;
mod snapshot;
pub mod table;
mod trunks;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_esl::SessionHandle;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

use crate::dns::{Dns, Located};
use ask::Asker;
use lists::Decided;
use sipward_config::{Config, Credentials};
use sipward_ingest::freeswitch::access_lists::AccessLists;
use sipward_ingest::freeswitch::gateways::Gateways;
use sipward_ingest::freeswitch::profiles::{Bind, Profile};
use sipward_ingest::freeswitch::sofia_conf::SofiaConf;
use sipward_ingest::freeswitch::uri::Target;
use sipward_model::record::Record;
pub(super) use snapshot::{Listed, Registration};
use table::Part;
use trunks::{Change, Trunks};

/// Questions that wait at most. A storm from more new sources at once leaves the rest unasked: they
/// are judged without an answer, which only a later one can soften.
pub const QUERIES: usize = 1_024;

/// Questions to FreeSWITCH under way at once: each is a thread there (`bgapi` makes one).
const AT_ONCE: usize = 8;

/// Names of gateways looked up at once.
const NAMES_AT_ONCE: usize = 8;

/// From an event to the look that it asks for: a rescan sends one for each gateway.
const SOON: Duration = Duration::from_millis(300);

/// Least time between two looks of a kind: gateways may flap.
const SPACING: Duration = Duration::from_secs(5);

/// What is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Do the access control lists allow this address?
    Acl(IpAddr),
    /// Everything: the connection is new.
    Connected,
    /// Query the registrations, because events were lost.
    Registrations,
    /// Will it send its warnings, or no longer? After each connection, and when the rule changed.
    Log {
        /// Whether they are wanted.
        wanted: bool,
    },
    /// Which gateways are there? One came or went.
    Gateways,
    /// A gateway changed its state; its registrar answered from this address, once it has.
    Gateway {
        /// Its name.
        gateway: String,
        /// The registrar.
        registrar: Option<IpAddr>,
    },
    /// The configuration was read again, or a profile started.
    Configuration,
}

/// What FreeSWITCH answered, for the engine's task.
#[derive(Debug)]
pub enum Answer {
    /// Networks that the access control lists allow, all of them; what FreeSWITCH answered about single
    /// addresses before is worth nothing.
    Acls(Vec<IpNet>),
    /// What the access control lists say of an address; `None` when they said nothing.
    Acl {
        /// The address.
        addr: IpAddr,
        /// One of the lists allows it.
        allowed: Option<bool>,
    },
    /// Addresses of FreeSWITCH's gateways, all of them, with the gateways' names.
    Trunks(BTreeMap<IpAddr, String>),
    /// A part of the phones that FreeSWITCH says are registered.
    Listed(Listed),
    /// Whether all of a part of the table of protected addresses is known.
    Known(Part, bool),
    /// The profiles that run, all of them.
    Profiles(Arc<[ProfileFacts]>),
}

/// The API commands that a user of the directory needs (`esl-allowed-api`), an example of each that changes nothing,
/// and what sipward lacks without it.
pub const COMMANDS: [(&str, &str, &str); 4] = [
    ("show", "show registrations count", "registered phones are unknown"),
    ("sofia", "sofia xmlstatus gateway", "gateways and SIP ports are unknown"),
    ("acl", "acl 127.0.0.1 domains", "`domain=` entries of access lists are unknown"),
    (
        "xml_locate",
        "xml_locate configuration configuration name acl.conf",
        "networks of access lists, and register-proxy and outbound-proxy of gateways, are unknown",
    ),
];

/// What the settings say about questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The access control lists that count.
    pub lists: Vec<String>,
    /// Whether `sofia.conf`, which holds passwords, is looked at.
    pub reads_sofia_conf: bool,
}

impl Asked {
    /// As the settings say.
    pub fn by(config: &Config) -> Self {
        Self { lists: config.allow_acl.clone(), reads_sofia_conf: config.read_sofia_conf }
    }
}

/// One running profile: what is bound, what FreeSWITCH takes, how long its nonces live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFacts {
    /// Its name.
    pub name: String,
    /// Its sockets.
    pub binds: Vec<Bind>,
    /// Requests a second above which FreeSWITCH drops all of them; `None` where it does not say.
    pub max_rps: Option<u32>,
    /// How long a nonce is valid; `None` where FreeSWITCH does not say (its default is a minute).
    pub nonce_ttl: Option<Duration>,
}

/// What the directory needs of the daemon.
pub struct Deps {
    pub session: SessionHandle,
    pub credentials: Credentials,
    pub connect_timeout: Duration,
    pub asked: watch::Receiver<Asked>,
    pub questions: mpsc::Receiver<Query>,
    pub answers: mpsc::Sender<Answer>,
    /// The ports of the running profiles, where the settings leave them to FreeSWITCH.
    pub ports: Option<watch::Sender<Vec<u16>>>,
    pub records: broadcast::Sender<Arc<Record>>,
}

/// A thing that is looked at now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    Registrations,
    Gateways,
    SofiaConf,
    Lists,
    Profiles,
}

impl Look {
    const ALL: [Self; 5] =
        [Self::Registrations, Self::Gateways, Self::SofiaConf, Self::Lists, Self::Profiles];

    /// How often without a reason. A user of the directory may not have the events that give one.
    const fn every(self) -> Option<Duration> {
        match self {
            // Events report each.
            Self::Registrations => None,
            Self::Gateways | Self::Profiles => Some(Duration::from_secs(120)),
            Self::SofiaConf => Some(Duration::from_secs(300)),
            // `reloadacl` sends no event.
            Self::Lists => Some(Duration::from_secs(30)),
        }
    }
}

/// When a look is due, and whether it is under way.
#[derive(Clone, Copy, Debug, Default)]
struct Plan {
    due: Option<Instant>,
    under_way: bool,
    begun: Option<Instant>,
}

/// What came of a question.
enum Done {
    Nothing,
    Acl { addr: IpAddr, allowed: Option<bool> },
    Registrations,
    Gateways { asked: Instant, answer: Option<Gateways> },
    SofiaConf(Option<SofiaConf>),
    Lists { file: Option<AccessLists>, decided: Option<Decided>, asked: Asked },
    Profiles(Option<(Vec<Profile>, usize)>),
    Located { target: Target, answer: Result<Located, String> },
}

struct Directory {
    asker: Arc<Asker>,
    deps: Deps,
    /// The lists that FreeSWITCH is asked about; `None` before they are known.
    lists_asked: watch::Sender<Option<Vec<String>>>,
    plans: BTreeMap<Look, Plan>,
    under_way: JoinSet<Done>,
    trunks: Trunks,
    told_trunks: Option<BTreeMap<IpAddr, String>>,
    /// Names that keep an old answer, and why; already reported.
    stale: BTreeSet<(String, String)>,
    file: Option<AccessLists>,
    decided: Option<Decided>,
    profiles: Vec<Profile>,
    conf: SofiaConf,
    facts: Arc<[ProfileFacts]>,
}

/// The engine task is gone: the daemon stops.
struct Stopped;

/// Asks and passes the answers on until the daemon ends.
pub async fn run(deps: Deps) {
    let (lists_asked, listed) = watch::channel(None);
    let asker = Asker::new(
        deps.session.clone(),
        deps.credentials.clone(),
        deps.connect_timeout,
        listed,
        deps.records.clone(),
    );
    let directory = Directory {
        asker: Arc::new(asker),
        deps,
        lists_asked,
        plans: Look::ALL.map(|look| (look, Plan::default())).into(),
        under_way: JoinSet::new(),
        trunks: Trunks::default(),
        told_trunks: None,
        stale: BTreeSet::new(),
        file: None,
        decided: None,
        profiles: Vec::new(),
        conf: SofiaConf::default(),
        facts: Arc::from([]),
    };
    let _: Stopped = directory.work().await;
}

impl Directory {
    async fn work(mut self) -> Stopped {
        loop {
            let due = self.next_due();
            let has_room = self.under_way.len() < AT_ONCE + NAMES_AT_ONCE;
            let worked = tokio::select! {
                question = self.deps.questions.recv(), if has_room => match question {
                    None => return Stopped,
                    Some(question) => {
                        self.question(question);
                        Ok(())
                    }
                },
                Some(done) = self.under_way.join_next() => match done {
                    Ok(done) => self.done(done).await,
                    Err(_) => Ok(()),
                },
                changed = self.deps.asked.changed() => match changed {
                    Err(_) => return Stopped,
                    Ok(()) => self.settings_changed().await,
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                    self.look();
                    Ok(())
                }
            };
            if worked.is_err() {
                return Stopped;
            }
        }
    }

    /// Begins what a question asks for.
    fn question(&mut self, question: Query) {
        match question {
            Query::Acl(addr) => {
                let freeswitch = Arc::clone(&self.asker);
                self.under_way
                    .spawn(async move { Done::Acl { addr, allowed: freeswitch.acl(addr).await } });
            }
            Query::Log { wanted } => {
                let freeswitch = Arc::clone(&self.asker);
                self.under_way.spawn(async move {
                    freeswitch.log(wanted).await;
                    Done::Nothing
                });
            }
            Query::Connected => {
                for look in Look::ALL {
                    self.plan(look, Duration::ZERO, Duration::ZERO);
                }
            }
            Query::Registrations => self.plan(Look::Registrations, Duration::ZERO, SPACING),
            Query::Gateways => self.plan(Look::Gateways, SOON, SPACING),
            // A gateway that fails says so every few seconds: only what is new is looked at.
            Query::Gateway { gateway, registrar } => {
                let now = Instant::now();
                let is_news = registrar
                    .is_some_and(|address| self.trunks.set_registrar(&gateway, address, now));
                if is_news || !self.trunks.knows(&gateway) {
                    self.plan(Look::Gateways, SOON, SPACING);
                }
            }
            Query::Configuration => {
                for look in [Look::Gateways, Look::SofiaConf, Look::Lists, Look::Profiles] {
                    self.plan(look, SOON, SPACING);
                }
            }
        }
    }

    /// Plans a look: in `after`, and no sooner than `spacing` after the last.
    fn plan(&mut self, look: Look, after: Duration, spacing: Duration) {
        let Some(plan) = self.plans.get_mut(&look) else { return };
        let now = Instant::now();
        let earliest = plan.begun.map_or(now, |begun| begun + spacing);
        let due = (now + after).max(earliest);
        plan.due = Some(plan.due.map_or(due, |known| known.min(due)));
    }

    fn next_due(&self) -> Option<Instant> {
        let looks = self.plans.values().filter(|plan| !plan.under_way).filter_map(|plan| plan.due);
        looks.chain(self.trunks.next_due()).min()
    }

    /// Begins what is due.
    fn look(&mut self) {
        let now = Instant::now();
        for look in Look::ALL {
            let Some(plan) = self.plans.get_mut(&look) else { continue };
            if plan.under_way || plan.due.is_none_or(|due| due > now) {
                continue;
            }
            *plan = Plan { due: None, under_way: true, begun: Some(now) };
            self.begin(look);
        }
        let due = self.trunks.take_due(now, NAMES_AT_ONCE);
        if due.is_empty() {
            return;
        }
        // Made anew: `/etc/resolv.conf` may have changed, and what is kept is kept in `trunks`.
        let dns = Dns::from_system().map(Arc::new);
        for (target, known) in due {
            let dns = dns.clone();
            self.under_way.spawn(async move {
                let answer = match dns {
                    Ok(dns) => dns.locate(&target, known).await,
                    Err(error) => Err(error),
                };
                Done::Located { target, answer }
            });
        }
    }

    fn begin(&mut self, look: Look) {
        let freeswitch = Arc::clone(&self.asker);
        match look {
            Look::Registrations => {
                let answers = self.deps.answers.clone();
                self.under_way.spawn(async move {
                    freeswitch.registrations(&answers).await;
                    Done::Registrations
                });
            }
            Look::Gateways => {
                let asked = Instant::now();
                self.under_way.spawn(async move {
                    Done::Gateways { asked, answer: freeswitch.gateways().await }
                });
            }
            Look::SofiaConf => {
                let wanted = self.deps.asked.borrow().reads_sofia_conf;
                self.under_way.spawn(async move {
                    Done::SofiaConf(if wanted {
                        freeswitch.sofia_conf().await
                    } else {
                        Some(SofiaConf::default())
                    })
                });
            }
            Look::Lists => {
                let asked = self.deps.asked.borrow().clone();
                self.under_way.spawn(async move {
                    let (file, decided) = freeswitch.lists(&asked.lists).await;
                    Done::Lists { file, decided, asked }
                });
            }
            Look::Profiles => {
                self.under_way.spawn(async move { Done::Profiles(freeswitch.profiles().await) });
            }
        }
    }

    async fn done(&mut self, done: Done) -> Result<(), Stopped> {
        match done {
            Done::Nothing => Ok(()),
            Done::Acl { addr, allowed } => self.answer(Answer::Acl { addr, allowed }).await,
            Done::Registrations => {
                self.looked(Look::Registrations);
                Ok(())
            }
            Done::Gateways { asked, answer } => {
                self.looked(Look::Gateways);
                if let Some(gateways) = answer {
                    self.trunks.set_gateways(gateways, asked);
                }
                self.tell_trunks().await
            }
            Done::SofiaConf(answer) => {
                self.looked(Look::SofiaConf);
                let Some(conf) = answer else { return Ok(()) };
                self.trunks.set_conf(&conf);
                self.conf = conf;
                self.tell_profiles().await?;
                self.tell_trunks().await
            }
            Done::Located { target, answer } => {
                self.trunks.located(&target, answer, Instant::now());
                self.tell_trunks().await
            }
            Done::Lists { file, decided, asked } => {
                self.looked(Look::Lists);
                if *self.deps.asked.borrow() != asked {
                    // Other lists count by now; they are being looked at.
                    return Ok(());
                }
                if file.is_some() {
                    self.file = file;
                }
                match decided {
                    Some(decided) => self.tell_lists(decided).await,
                    None => Ok(()),
                }
            }
            Done::Profiles(answer) => {
                self.looked(Look::Profiles);
                let Some((profiles, left_out)) = answer else { return Ok(()) };
                if left_out > 0 {
                    tracing::debug!(left_out, "profiles that are not examined");
                }
                self.profiles = profiles;
                self.tell_profiles().await
            }
        }
    }

    fn looked(&mut self, look: Look) {
        if let Some(plan) = self.plans.get_mut(&look) {
            plan.under_way = false;
        }
        if let Some(every) = look.every() {
            self.plan(look, every, Duration::ZERO);
        }
    }

    /// Other lists count, or the same have to be looked at again.
    async fn settings_changed(&mut self) -> Result<(), Stopped> {
        let asked = self.deps.asked.borrow_and_update().clone();
        for look in [Look::Lists, Look::SofiaConf] {
            self.plan(look, Duration::ZERO, Duration::ZERO);
        }
        // What is known of them is in force at once, also while FreeSWITCH is away.
        let known = lists::decide(&asked.lists, self.file.as_ref());
        self.decided = None;
        self.tell_lists(known).await
    }

    /// Tells of gateways what has changed.
    async fn tell_trunks(&mut self) -> Result<(), Stopped> {
        for change in self.trunks.changes() {
            let record = match change {
                Change::Unprotected { gateway, error } => {
                    Record::GatewayUnprotected { gateway, error }
                }
                Change::Protected { gateway } => Record::GatewayProtected { gateway },
            };
            record.publish(&self.deps.records);
        }
        let stale: BTreeSet<(String, String)> =
            self.trunks.stale().map(|(name, error)| (name.to_owned(), error.to_owned())).collect();
        for (name, error) in stale.difference(&self.stale).cloned() {
            Record::NameFailed { name, error }.publish(&self.deps.records);
        }
        self.stale = stale;
        let whole = self.trunks.are_known();
        let addresses = self.trunks.addresses();
        // Before anything is known, nothing is reported; what is known does not wait for the rest.
        if self.told_trunks.as_ref() != Some(&addresses) {
            self.told_trunks = Some(addresses.clone());
            self.answer(Answer::Trunks(addresses)).await?;
        }
        self.answer(Answer::Known(Part::Trunks, whole)).await
    }

    /// Tells of access lists what has changed.
    async fn tell_lists(&mut self, decided: Decided) -> Result<(), Stopped> {
        let before = self.decided.clone().unwrap_or_default();
        for (list, error) in &decided.unused {
            if before.unused.get(list) != Some(error) {
                let (list, error) = (list.clone(), error.clone());
                Record::AccessListUnused { list, error }.publish(&self.deps.records);
            }
        }
        for list in before.unused.keys().filter(|list| !decided.unused.contains_key(*list)) {
            Record::AccessListUsed { list: list.clone() }.publish(&self.deps.records);
        }
        self.lists_asked.send_replace(Some(decided.asked.clone()));
        if self.decided.as_ref() != Some(&decided) {
            let nets = decided.nets.iter().copied().collect();
            self.decided = Some(decided);
            self.answer(Answer::Acls(nets)).await?;
        }
        // `domain=` nodes mean users' addresses, which are in the table while they are registered.
        let whole = self.file.is_some() || self.deps.asked.borrow().lists.is_empty();
        self.answer(Answer::Known(Part::AccessLists, whole)).await
    }

    /// Tells what has changed of the profiles.
    async fn tell_profiles(&mut self) -> Result<(), Stopped> {
        let nonce_ttl = |name: &str| {
            let conf = self.conf.profiles.iter().find(|profile| profile.name == name);
            conf.and_then(|profile| profile.nonce_ttl)
        };
        let facts: Arc<[ProfileFacts]> = self
            .profiles
            .iter()
            .map(|profile| ProfileFacts {
                name: profile.name.clone(),
                binds: profile.binds.clone(),
                max_rps: profile.max_rps,
                nonce_ttl: nonce_ttl(&profile.name),
            })
            .collect();
        if facts == self.facts {
            return Ok(());
        }
        self.facts = Arc::clone(&facts);
        let ports: BTreeSet<u16> =
            facts.iter().flat_map(|profile| &profile.binds).map(|bind| bind.port).collect();
        if let Some(told) = self.deps.ports.as_ref().filter(|_| !ports.is_empty()) {
            let ports: Vec<u16> = ports.into_iter().take(sipward_route::MOST_SIP_PORTS).collect();
            let changed = told.send_if_modified(|known| {
                let differs = *known != ports;
                known.clone_from(&ports);
                differs
            });
            if changed {
                let profiles = facts.iter().map(|profile| profile.name.clone()).collect();
                Record::SipPorts { ports, profiles }.publish(&self.deps.records);
            }
        }
        self.answer(Answer::Profiles(facts)).await
    }

    async fn answer(&self, answer: Answer) -> Result<(), Stopped> {
        self.deps.answers.send(answer).await.map_err(|_| Stopped)
    }
}
