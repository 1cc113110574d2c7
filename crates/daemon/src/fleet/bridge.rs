//! The fleet's task: from the link to the engine and back.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{
    FleetSettings as Place, HomeHash, Input, KnownToShare, PeerName, Quorum, Timestamp,
};
use sipward_fleet::message::Key;
use sipward_fleet::{Fleet, Link, NodeSeen, Received, Start};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::lifts::{self, Lifted};
use super::own::{MAX_SAID, Said, home_hash, own_known, own_veto, vetoes};
use super::pace::Pace;
use super::report::Report;
use super::{FleetHandle, Seen, view, words};
use crate::engine_task::{
    EngineHandle, EngineTask, EngineUnavailable, Publications, Published, PublishedBan,
    publications,
};
use crate::settings::Settings;
use sipward_config::{FleetSettings, Mode, Secrets};
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
    let name = own.to_string();
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
        sipward_fleet::link(link_settings(&name, config, secrets)?, Start { n: 0, standing })?;

    let first = Arc::new(wire::Fleet { enabled: true, ..wire::Fleet::default() });
    let (shown, seen) = watch::channel(Seen { fleet: first, nodes_read: 0 });
    let wanted = Arc::new(Notify::new());
    let (read, nodes) = watch::channel(Vec::new());
    let reading = read_nodes(fleet.clone(), Arc::clone(&wanted), read);
    let bridge = Bridge {
        name,
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
    name: &str,
    config: &FleetSettings,
    secrets: &Secrets,
) -> anyhow::Result<sipward_fleet::Settings> {
    let mut settings = sipward_fleet::Settings::new(config.servers.clone(), name.parse()?);
    settings.credentials = config.credentials.clone().or_else(|| secrets.fleet_credentials.clone());
    if let Some(tls) = &config.tls {
        settings.ca.clone_from(&tls.ca);
        settings.certificate = tls.identity.as_ref().map(|(certificate, _)| certificate.clone());
        settings.key = tls.identity.as_ref().map(|(_, key)| key.clone());
    }
    settings.share_known = secrets.fleet_key.is_some();
    Ok(settings)
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
    shown: watch::Sender<Seen>,
    nodes: watch::Receiver<Vec<NodeSeen>>,
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
                    self.show().await?;
                    self.shown.send_modify(|seen| seen.nodes_read += 1);
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
        let is_new = !self.said.bans.contains_key(&ban.net);
        if is_new && (self.said.bans.len() >= MAX_SAID || !self.pace.may()) {
            if self.waiting.len() < MAX_SAID {
                self.waiting.push_back(ban);
            } else {
                self.left_out = true;
            }
            return;
        }
        let now = self.clock.now();
        match self.fleet.say(self.said.ban(&ban, now, &self.clock)) {
            Ok(()) => {
                self.said.bans.entry(ban.net).or_insert(now);
            }
            Err(error) => tracing::debug!(net = %ban.net, %error, "a ban is not published"),
        }
    }

    fn tell_end(&mut self, net: IpNet, expired: bool) {
        self.waiting.retain(|waiting| waiting.net != net);
        if self.said.bans.remove(&net).is_none() {
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
        // They are among all.
        self.waiting.clear();
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
        let gone = self.said.bans.keys().filter(|net| !stand.contains(net));
        let gone: Vec<IpNet> = gone.copied().collect();
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
        let fleet = Arc::new(view::fleet(&self.name, (&snapshot, &peers, &nodes), bans));
        self.shown.send_modify(|seen| seen.fleet = fleet);
        Ok(())
    }
}
