//! The fleet's task: from the link to the engine and back.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use ipnet::IpNet;
use sha2::Sha256;
use sipward_engine::{
    Expiry, FleetSettings as Place, Home, HomeHash, Input, KnownClass, KnownToShare, PeerName,
    Quorum, Timestamp,
};
use sipward_fleet::message::{self, Ban, Body, Key, Known, Veto};
use sipward_fleet::{Fleet, Link, NodeSeen, Own, Peer, Received, Start, Text};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::FleetHandle;
use super::lifts::{self, Lifted};
use super::pace::Pace;
use super::report::Report;
use super::{view, words};
use crate::engine_task::{
    EngineHandle, EngineTask, EngineUnavailable, Publications, Published, PublishedBan,
    publications,
};
use crate::settings::Settings;
use sipward_config::{FleetSettings, Mode, Secret, Secrets};
use sipward_model::clock::Clock;
use sipward_model::record::Record;
use sipward_model::wire;

/// Messages that the engine is given at once: less than a millisecond of its time.
const PART: usize = 64;

/// Routes under way above which what others say waits, so that no ban of this node waits behind theirs.
const UNDER_WAY: usize = 128;

/// Pause until routes under way are counted again.
const BREATH: Duration = Duration::from_millis(2);

/// How often the state is looked at.
const BEAT: Duration = Duration::from_secs(1);

/// Beats between two looks at what the others must not ban.
const VETO_BEATS: u64 = 5;

/// Shortest time between two readings of the nodes' statuses.
const READ_NODES: Duration = Duration::from_secs(1);

/// Networks that this node vetoes: those of trunks, proxies, access lists and `allow`, in this order.
const MAX_VETOES: usize = 2_048;

/// Bans that this node says: what a peer believes, without the vetoes.
const MAX_SAID: usize = sipward_fleet::MAX_OWN - MAX_VETOES;

/// What the task works with.
pub struct Deps<'a> {
    /// `[fleet]`.
    pub config: &'a FleetSettings,
    /// The credential and the fleet's key.
    pub secrets: &'a Secrets,
    /// The mode.
    pub settings: Arc<Settings>,
    /// The engine.
    pub engine: EngineHandle,
    /// Where events are reported.
    pub records: broadcast::Sender<Arc<Record>>,
    /// What operators of this node have lifted before the start.
    pub lifted: Vec<Lifted>,
}

/// Connects `task` with the fleet: gives the handle to its state, and its work.
///
/// # Errors
/// When the settings do not fit together.
pub fn start(
    task: &mut EngineTask,
    deps: Deps<'_>,
) -> anyhow::Result<(FleetHandle, impl Future<Output = ()> + Send + use<>)> {
    let Deps { config, secrets, settings, engine, records, lifted } = deps;
    let own = PeerName::new(&config.site, &config.name)?;
    let home = secrets.fleet_key.as_ref().map(home_hash);
    let quorum = Quorum { site: config.quorum.into(), fleet: config.quorum.into() };
    task.handle(Input::Fleet(Place { own, quorum, home: home.clone() }));
    lifts::restore(task, lifted);

    let (publisher, publications) = publications();
    let remembered = task.publish_by(publisher);
    let mut said = Said::default();
    let clock = task.clock().clone();
    let observes = settings.mode() == Mode::Observe;
    let mut standing = said.everything(task, observes, &clock);
    if let Some(home) = &home {
        // The newest are the last.
        let successes = remembered.iter().rev().take(sipward_fleet::MAX_OWN_KNOWN);
        let known = successes.filter_map(|it| Some((task.engine().known_to_share(it)?, it)));
        standing
            .extend(known.map(|(phone, it)| own_known(&phone, (it.since, it.at), home, &clock)));
    }
    let (fleet, received, link) =
        sipward_fleet::link(link_settings(config, secrets)?, Start { n: 0, standing })?;

    let first = wire::Fleet { enabled: true, ..wire::Fleet::default() };
    let (shown, seen) = watch::channel(Arc::new(first));
    let wanted = Arc::new(Notify::new());
    let (read, nodes) = watch::channel(Vec::new());
    let reading = read_nodes(fleet.clone(), Arc::clone(&wanted), read);
    let bridge = Bridge {
        name: format!("{}.{}", config.site, config.name),
        engine,
        clock,
        fleet: fleet.clone(),
        settings,
        home,
        said,
        waiting: VecDeque::new(),
        observes,
        left_out: false,
        pace: Pace::default(),
        report: Report::new(records),
        shown,
        nodes,
        nodes_read: 0,
        beats: 0,
    };
    let work = work(bridge, received, publications, link, reading);
    Ok((FleetHandle::new(seen, wanted), work))
}

/// The link, the bridge and the reading of statuses; ends when one of them does.
async fn work(
    bridge: Bridge,
    received: mpsc::Receiver<Received>,
    publications: Publications,
    link: Link,
    reading: impl Future<Output = ()>,
) {
    tokio::select! {
        () = link.run(std::future::pending()) => {}
        // The engine has stopped, so the daemon does.
        Err(_) = bridge.run(received, publications) => {}
        () = reading => {}
    }
}

fn link_settings(
    config: &FleetSettings,
    secrets: &Secrets,
) -> anyhow::Result<sipward_fleet::Settings> {
    let peer: Peer = format!("{}.{}", config.site, config.name).parse()?;
    let mut settings = sipward_fleet::Settings::new(config.servers.clone(), peer);
    settings.credentials = config.credentials.clone().or_else(|| secrets.fleet_credentials.clone());
    if let Some(tls) = &config.tls {
        settings.ca.clone_from(&tls.ca);
        settings.certificate = tls.identity.as_ref().map(|(certificate, _)| certificate.clone());
        settings.key = tls.identity.as_ref().map(|(_, key)| key.clone());
    }
    settings.share_known = secrets.fleet_key.is_some();
    Ok(settings)
}

/// The first eight bytes of HMAC-SHA256(key, user NUL agent).
fn home_hash(key: &Secret) -> HomeHash {
    let key = key.clone();
    HomeHash::new(move |user, user_agent| {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else {
            return Home([0; 8]);
        };
        mac.update(user.as_bytes());
        mac.update(&[0]);
        mac.update(user_agent.as_bytes());
        let mut first = [0; 8];
        first.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        Home(first)
    })
}

/// Reads the statuses of the nodes whenever somebody wants to see them.
async fn read_nodes(fleet: Fleet, wanted: Arc<Notify>, read: watch::Sender<Vec<NodeSeen>>) {
    loop {
        wanted.notified().await;
        if let Ok(nodes) = fleet.nodes().await {
            read.send_replace(nodes);
        }
        tokio::time::sleep(READ_NODES).await;
    }
}

/// What this node has told the link.
#[derive(Default)]
struct Said {
    bans: HashSet<IpNet>,
    vetoes: HashSet<IpNet>,
}

impl Said {
    /// All that stands at the start. A node that observes blocks nobody, here or elsewhere.
    fn everything(&mut self, task: &EngineTask, observes: bool, clock: &Clock) -> Vec<Own> {
        let engine = task.engine();
        let bans = engine.bans_after(None).filter(|_| !observes).filter_map(|ban| {
            let since = clock.wall(ban.since);
            Some((PublishedBan::of(engine, ban.net)?, since))
        });
        let bans: Vec<Own> =
            bans.take(MAX_SAID).map(|(ban, since)| own_ban(&ban, since, clock)).collect();
        self.bans = bans.iter().filter_map(|own| own.body.key().net()).collect();
        let vetoes = vetoes(task);
        self.vetoes = vetoes.iter().map(|(net, _)| *net).collect();
        let vetoes = vetoes.into_iter().map(|(net, class)| own_veto(net, &class));
        bans.into_iter().chain(vetoes).collect()
    }
}

struct Bridge {
    name: String,
    engine: EngineHandle,
    clock: Clock,
    fleet: Fleet,
    settings: Arc<Settings>,
    home: Option<HomeHash>,
    said: Said,
    /// Bans that would be more than the others believe within a minute.
    waiting: VecDeque<PublishedBan>,
    /// The mode of the last look: in observe mode no ban is said.
    observes: bool,
    /// Others were left out, in observe mode or for want of room: all are read again when they can be said.
    left_out: bool,
    pace: Pace,
    report: Report,
    shown: watch::Sender<Arc<wire::Fleet>>,
    nodes: watch::Receiver<Vec<NodeSeen>>,
    nodes_read: u64,
    beats: u64,
}

impl Bridge {
    async fn run(
        mut self,
        mut received: mpsc::Receiver<Received>,
        mut publications: Publications,
    ) -> Result<(), EngineUnavailable> {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut changes) = (Vec::with_capacity(PART), Vec::with_capacity(PART));
        loop {
            tokio::select! {
                // What this node decided comes before what others say.
                biased;
                _ = beat.tick() => self.beat(&publications).await?,
                count = publications.changes.recv_many(&mut changes, PART) => {
                    if count == 0 {
                        return Err(EngineUnavailable::Stopped);
                    }
                    changes.drain(..).for_each(|change| self.tell(change));
                }
                Ok(()) = self.nodes.changed() => {
                    self.nodes_read += 1;
                    self.show().await?;
                }
                count = received.recv_many(&mut heard, PART) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.hear(heard.drain(..).filter_map(words::input).collect()).await?;
                }
            }
        }
    }

    /// Passes on what others say, as fast as the kernel takes it.
    async fn hear(&self, inputs: Vec<Input<'static>>) -> Result<(), EngineUnavailable> {
        let mut under_way = self
            .engine
            .call_when_ready(move |task| {
                for input in inputs {
                    task.handle(input);
                }
                task.under_way()
            })
            .await?;
        while under_way > UNDER_WAY {
            tokio::time::sleep(BREATH).await;
            under_way = self.engine.call_when_ready(|task| task.under_way()).await?;
        }
        Ok(())
    }

    /// Tells the others of a change here.
    fn tell(&mut self, change: Published) {
        match change {
            Published::Ban(ban) => self.tell_ban(ban),
            Published::BanEnded { net, expired } => self.tell_end(net, expired),
            Published::Known { phone, times } => self.tell_known(&phone, times),
        }
    }

    fn tell_ban(&mut self, ban: PublishedBan) {
        if self.settings.mode() == Mode::Observe {
            // It may be only for a moment.
            self.left_out = true;
            return;
        }
        let is_new = !self.said.bans.contains(&ban.net);
        if is_new && (self.said.bans.len() >= MAX_SAID || !self.pace.may()) {
            if self.waiting.len() < MAX_SAID {
                self.waiting.push_back(ban);
            } else {
                self.left_out = true;
            }
            return;
        }
        let own = own_ban(&ban, self.clock.now(), &self.clock);
        match self.fleet.say(own) {
            Ok(()) => {
                self.said.bans.insert(ban.net);
            }
            Err(error) => tracing::debug!(net = %ban.net, %error, "a ban is not published"),
        }
    }

    fn tell_end(&mut self, net: IpNet, expired: bool) {
        self.waiting.retain(|waiting| waiting.net != net);
        if !self.said.bans.remove(&net) {
            return;
        }
        if expired {
            self.fleet.forget(&Key::Ban(net));
        } else {
            self.fleet.end(&Key::Ban(net));
        }
    }

    fn tell_known(&self, phone: &KnownToShare, times: (Timestamp, Timestamp)) {
        let Some(home) = &self.home else { return };
        if let Err(error) = self.fleet.say(own_known(phone, times, home, &self.clock)) {
            tracing::debug!(%error, "a known phone is not published");
        }
    }

    async fn beat(&mut self, publications: &Publications) -> Result<(), EngineUnavailable> {
        self.beats += 1;
        while let Some(ban) = self.waiting.pop_front() {
            if !self.pace.has_room() || self.said.bans.len() >= MAX_SAID {
                self.waiting.push_front(ban);
                break;
            }
            // It may have changed or ended since; its end is on its way then.
            self.tell_ban(ban);
        }
        let observes = self.settings.mode() == Mode::Observe;
        let has_room = self.waiting.is_empty() && !observes;
        let again = has_room && std::mem::take(&mut self.left_out);
        let is_other_mode = std::mem::replace(&mut self.observes, observes) != observes;
        if publications.take_missed() || again || is_other_mode {
            self.compare_bans().await?;
        }
        if self.beats % VETO_BEATS == 1 {
            self.compare_vetoes().await?;
        }
        self.show().await
    }

    /// Compares all bans with what was said, after changes were missed.
    async fn compare_bans(&mut self) -> Result<(), EngineUnavailable> {
        let mut stand = HashSet::new();
        let mut last = None;
        loop {
            let (bans, more) = self
                .engine
                .call_when_ready(move |task| {
                    let engine = task.engine();
                    let nets: Vec<IpNet> =
                        engine.bans_after(last).take(PART).map(|ban| ban.net).collect();
                    let more = nets.last().copied().filter(|_| nets.len() == PART);
                    let bans: Vec<_> =
                        nets.into_iter().filter_map(|net| PublishedBan::of(engine, net)).collect();
                    (bans, more)
                })
                .await?;
            for ban in bans {
                if !self.observes {
                    stand.insert(ban.net);
                    self.tell_ban(ban);
                }
            }
            match more {
                Some(net) => last = Some(net),
                None => break,
            }
        }
        let gone: Vec<IpNet> = self.said.bans.difference(&stand).copied().collect();
        for net in gone {
            self.tell_end(net, false);
        }
        Ok(())
    }

    async fn compare_vetoes(&mut self) -> Result<(), EngineUnavailable> {
        let now = self.engine.call_when_ready(|task| vetoes(task)).await?;
        let nets: HashSet<IpNet> = now.iter().map(|(net, _)| *net).collect();
        for net in self.said.vetoes.difference(&nets) {
            self.fleet.end(&Key::Veto(*net));
        }
        self.said.vetoes.retain(|net| nets.contains(net));
        for (net, class) in now {
            if self.said.vetoes.contains(&net) {
                continue;
            }
            match self.fleet.say(own_veto(net, &class)) {
                Ok(()) => {
                    self.said.vetoes.insert(net);
                }
                Err(error) => tracing::debug!(%net, %error, "an exemption is not published"),
            }
        }
        Ok(())
    }

    /// Shows how the fleet is, and reports what has changed.
    async fn show(&mut self) -> Result<(), EngineUnavailable> {
        let (peers, connected, taken) = self
            .engine
            .call_when_ready(|task| {
                let engine = task.engine();
                let peers: Vec<_> = engine.fleet_peers().collect();
                (peers, task.peer().is_some(), engine.stats().remote_bans as u64)
            })
            .await?;
        let (snapshot, mode) = (self.fleet.snapshot(), self.settings.mode());
        self.report.look(&self.name, &snapshot);
        self.fleet.status(view::status(mode, connected, &peers));
        let nodes = self.nodes.borrow_and_update().clone();
        let bans = (self.said.bans.len() as u64, taken);
        let mut shown = view::fleet(&self.name, (&snapshot, &peers, &nodes), bans);
        shown.nodes_read = self.nodes_read;
        self.shown.send_replace(Arc::new(shown));
        Ok(())
    }
}

/// What this node exempts and the others must not ban either, with the class.
fn vetoes(task: &EngineTask) -> Vec<(IpNet, String)> {
    let nets = task.protected().exempt_nets();
    let vetoed = nets.filter(|(class, net)| words::is_vetoed(*class, net));
    vetoed.take(MAX_VETOES).map(|(class, net)| (net, words::class_word(class))).collect()
}

fn own_veto(net: IpNet, class: &str) -> Own {
    let body = Body::Veto(net, Veto::Stands { class: Text::cut(class) });
    Own { body, until: None }
}

/// A known phone as it is said; the times of its first and latest log-in by the engine's clock.
fn own_known(
    phone: &KnownToShare,
    (since, last): (Timestamp, Timestamp),
    home: &HomeHash,
    clock: &Clock,
) -> Own {
    let class = match phone.class {
        KnownClass::Known => message::Class::Known,
        KnownClass::Trusted => message::Class::Trusted,
        KnownClass::Shared => message::Class::Shared,
    };
    let home = Some(message::Home(home.of(&phone.user, &phone.user_agent).0));
    let (since, last) = (millis(clock.wall(since)), millis(clock.wall(last)));
    let body = Body::Known(phone.source.into(), Known::Stands { class, since, last, home });
    Own { body, until: None }
}

/// A ban as it is said; `since` by the wall clock.
fn own_ban(ban: &PublishedBan, since: Timestamp, clock: &Clock) -> Own {
    let until = match clock.wall_end(ban.until) {
        Expiry::At(until) => Some(millis(until)),
        Expiry::Never => None,
    };
    let body = Body::Ban(ban.net, Ban::Stands(words::standing(ban, millis(since))));
    Own { body, until }
}

fn millis(time: Timestamp) -> u64 {
    time.as_micros() / 1_000
}
