//! What the engine's task hears: events and news of the connection, commands of the other tasks.

use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{Action, CoreId, Exemption, Input, Mode, Registered, Text, Timestamp};
use sipward_esl::{Event, LogLine, Notice};

use super::{
    Command, EngineTask, FIRST_BYTES, FIRST_PHONES, Happened, LIST_LAG, TELL_AGAIN, shielding,
};
use crate::freeswitch_queries::phones::Phone;
use crate::freeswitch_queries::table::Part;
use crate::freeswitch_queries::{Answer, Listed, ProfileFacts, Query, Registration};
use crate::probe::Probed;
use sipward_ingest::bridge::{self, Aside};
use sipward_ingest::freeswitch::registrations::Outcome;
use sipward_ingest::log_parser::LogFinding;
use sipward_model::clock::stamp;
use sipward_model::record::Record;

impl EngineTask {
    pub(super) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Event { event, received } => self.event(&event, received),
            Notice::Connected { peer, local: _ } => {
                if std::mem::take(&mut self.never_connected) {
                    // Challenges before were not seen, so none is missing.
                    let (from, to) = (self.clock.steady_start(), self.clock.steady());
                    self.handle(Input::Blind { from, to });
                }
                self.peer = Some(peer);
                if let Some(prober) = &mut self.prober {
                    prober.connected(self.clock.steady());
                }
                let nets = vec![peer.ip().into()];
                self.exempt(Exemption::EslPeer, nets);
                self.told_failure = None;
                if self.wants_log() {
                    self.ask(Query::Log { wanted: true });
                }
                self.protected.know(Part::Registrations, false);
                // What came of a list before does not count twice.
                (self.first_phones, self.first_bytes) = (Vec::new(), 0);
                self.ask(Query::Connected);
                self.publish(Record::EslConnected { peer });
            }
            Notice::Disconnected { error, retry_in } => {
                self.peer = None;
                self.protected.know(Part::Registrations, false);
                self.disconnected(error.to_string(), retry_in);
            }
            Notice::Restarted { old, new } => {
                self.handle(Input::Core(bridge::core_id(new)));
                let (old, new) = (old.to_string(), new.to_string());
                self.publish(Record::EslRestarted { old, new });
            }
            Notice::Blind { from, to } => {
                // The snapshot that fills the gap is asked for by the `Connected` before it.
                let (from, to) = (stamp(from), stamp(to));
                let (begin, end) = (self.clock.steady_of(from), self.clock.steady_of(to));
                self.handle(Input::Blind { from: begin, to: end });
                let seconds = to.since(from).as_secs_f64();
                self.publish(Record::EslBlind { seconds });
            }
            Notice::NotAllowed { names } => self.publish(Record::EventsNotAllowed { names }),
            Notice::Overflow { dropped } => {
                self.missed = true;
                self.protected.know(Part::Registrations, false);
                self.publish(Record::EslOverflow { dropped });
            }
            Notice::Damaged { error, .. } => {
                self.unusable.take(Record::EventUnusable { error: error.to_string(), count: 1 });
            }
            Notice::Unusable { frame } => {
                tracing::debug!(content_type = ?frame.content_type(), "frame without a use");
            }
            Notice::Log { line, received } => self.log_line(&line, received),
            // A later version of the library may report more.
            _ => {}
        }
    }

    pub(super) fn event(&mut self, event: &Event, received: Instant) {
        self.totals.events += 1;
        let now = self.clock.steady_at(received);
        let Self { engine, actions, protected, shielding, .. } = self;
        let aside = bridge::translate(event, |mut input| {
            match &mut input {
                Input::Registered(phone) => {
                    protected.phones.registered(&phone_of(phone), phone.life, now);
                }
                Input::RegistrationEnded(phone) => {
                    let (user, domain) = (phone.user, phone.domain);
                    let was_at = protected.phones.ended(user, domain, phone.call_id, now);
                    phone.source = phone.source.or(was_at);
                }
                _ => {}
            }
            let concerned = shielding::concerned(&input);
            engine.handle(input, now, actions);
            if let (Some(shielding), Some(address)) = (&mut *shielding, concerned) {
                shielding.look_at(engine, address);
            }
        });
        match aside {
            Aside::Nothing => {}
            Aside::Gateways => self.ask(Query::Gateways),
            Aside::Gateway { name: gateway, registrar } => {
                self.ask(Query::Gateway { gateway, registrar });
            }
            Aside::Configuration => self.ask(Query::Configuration),
            Aside::Report(record) => match *record {
                forged @ Record::EventForged { .. } => self.forged.take(forged),
                unusable => self.unusable.take(unusable),
            },
        }
        // Most events lead to nothing, and their date is not looked at.
        let bans = self.actions.iter().any(|action| matches!(action, Action::Block { .. }));
        let dated = bans.then(|| date(event)).flatten();
        self.carry_out(Some(Happened { received, dated }));
    }

    pub(super) fn log_line(&mut self, line: &LogLine, received: Instant) {
        let now = self.clock.steady_at(received);
        match self.log.read(line, now) {
            Some(LogFinding::Complaint(complaint)) => {
                let input = Input::Complaint(complaint.as_input());
                self.engine.handle(input, now, &mut self.actions);
                self.carry_out(Some(Happened { received, dated: None }));
            }
            Some(LogFinding::RefusedLogin(complaint, reason)) => {
                let user = Text::new(complaint.user.as_deref().unwrap_or_default());
                self.publish(Record::RefusedLogin { address: complaint.source, user, reason });
            }
            None => {}
        }
    }

    /// A failed attempt is reported when its reason is another one, and now and then.
    fn disconnected(&mut self, error: String, retry_in: Duration) {
        let now = Instant::now();
        let is_told = self.told_failure.as_ref().is_some_and(|(known, at)| {
            *known == error && now.saturating_duration_since(*at) < TELL_AGAIN
        });
        if is_told {
            return;
        }
        self.told_failure = Some((error.clone(), now));
        let retry_in_seconds = retry_in.as_secs_f64();
        self.publish(Record::EslDisconnected { error, retry_in_seconds });
    }

    /// A part of FreeSWITCH's list. Nothing is lifted before its end.
    fn listed(&mut self, phones: &[Registration], asked: Instant) {
        let (now, asked) = (self.clock.steady(), self.list_made(asked));
        let seconds = now.as_micros() / 1_000_000;
        let life = |phone: &Registration| {
            phone.expires.map(|at| Duration::from_secs(at.saturating_sub(seconds)))
        };
        let standing = phones.iter().filter(|phone| {
            let heard = Phone {
                user: &phone.user,
                domain: &phone.domain,
                source: phone.source,
                call_id: &phone.call_id,
                port: phone.port,
            };
            // It may have ended since.
            self.protected.phones.listed(&heard, life(phone), asked, now)
        });
        let standing: Vec<Registration> = standing.cloned().collect();
        if self.first_list.is_none() {
            return self.make_known(&standing, Timestamp::from_micros(0), false);
        }
        // Whom the first list makes trusted is judged by all of it.
        let text =
            |phone: &Registration| phone.user.len() + phone.domain.len() + phone.call_id.len();
        self.first_bytes += standing.iter().map(text).sum::<usize>();
        self.first_phones.extend(standing);
        if self.first_phones.len() > FIRST_PHONES || self.first_bytes > FIRST_BYTES {
            self.first_list = None;
            let phones = std::mem::take(&mut self.first_phones);
            self.make_known(&phones, Timestamp::from_micros(0), false);
        }
    }

    /// Passes the registered users to the engine. With an old time they are added, and no other is removed.
    fn make_known(&mut self, phones: &[Registration], asked: Timestamp, first: bool) {
        let now = self.clock.now().as_micros() / 1_000_000;
        let phones = phones.iter().map(|phone| Registered {
            source: phone.source,
            port: phone.port,
            user: &phone.user,
            domain: &phone.domain,
            realm: None,
            username: None,
            call_id: &phone.call_id,
            user_agent: "",
            life: phone.expires.map(|at| Duration::from_secs(at.saturating_sub(now))),
            core: CoreId::default(),
        });
        self.handle(Input::Registrations { phones: phones.collect(), asked, first });
    }

    /// All of the list was read. What it did not hold is gone, unless something of it is missing.
    fn list_ends(&mut self, outcome: &Outcome, asked: Instant) {
        let is_whole = outcome.incomplete.is_none() && outcome.odd.count == 0;
        if let Some(first) = self.first_list.take() {
            let phones = std::mem::take(&mut self.first_phones);
            let first = first.claim();
            self.make_known(&phones, Timestamp::from_micros(0), first);
        }
        if is_whole {
            let asked = self.list_made(asked);
            self.protected.phones.list_ends(asked);
            self.make_known(&[], asked, false);
        }
        self.protected.know(Part::Registrations, is_whole);
        let Self { shielding, engine, .. } = self;
        let full = shielding.as_mut().and_then(|shielding| shielding.phones_known(engine));
        self.note_full(full);
        let odd = (outcome.odd.count > 0).then(|| outcome.odd.to_string());
        let problem = match (odd, &outcome.incomplete) {
            (Some(odd), Some(incomplete)) => Some(format!("{odd}; {incomplete}")),
            (odd, incomplete) => odd.or_else(|| incomplete.clone()),
        };
        let phones = self.protected.phones.count();
        self.publish(Record::Registrations { phones, problem });
    }

    /// When a list that was asked for at `asked` was true.
    fn list_made(&self, asked: Instant) -> Timestamp {
        self.clock.steady_at(asked.checked_sub(LIST_LAG).unwrap_or(asked))
    }

    /// What FreeSWITCH says of its profiles.
    fn profiles(&mut self, profiles: &[ProfileFacts]) {
        for facts in profiles {
            if let Some(life) = facts.nonce_ttl {
                self.handle(Input::NonceLife { profile: &facts.name, life });
            }
        }
        // 0 is without limit.
        let limits = profiles.iter().filter_map(|facts| facts.max_rps);
        let requests = limits.filter(|requests| *requests > 0).min();
        if let Some(shielding) = &mut self.shielding {
            shielding.takes(requests);
        }
        if let Some(prober) = &mut self.prober {
            prober.runs(profiles);
        }
    }

    /// The log is of use as long as the rule is on, if only in shadow.
    pub(super) fn wants_log(&self) -> bool {
        self.engine.policy().rules.log.guard.mode != Mode::Off
    }

    pub(super) fn execute(&mut self, command: Command) {
        match command {
            Command::Policy(policy) => {
                let wanted = self.wants_log();
                self.handle(Input::Policy(policy));
                if wanted != self.wants_log() && self.peer.is_some() {
                    self.ask(Query::Log { wanted: !wanted });
                }
            }
            Command::Exempt(classes) => {
                for (class, nets) in classes {
                    self.exempt(class, nets);
                }
            }
            Command::Saved(saved) => self.late(*saved),
            Command::Shield(choice) => {
                if let Some(shielding) = &mut self.shielding {
                    shielding.choose(choice);
                }
            }
            Command::Call(call) => call.run(self),
        }
    }

    /// Takes in what FreeSWITCH answered.
    pub(super) fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Acls(nets) => {
                self.handle(Input::AclsChanged);
                self.exempt(Exemption::Acl, nets);
            }
            Answer::Acl { addr, allowed } => self.handle(Input::AclAnswer { addr, allowed }),
            Answer::Trunks(addresses) => {
                let nets: Vec<IpNet> = addresses.keys().copied().map(IpNet::from).collect();
                self.protected.name_gateways(addresses);
                self.exempt(Exemption::Trunk, nets.clone());
                self.publish(Record::Trunks { nets });
            }
            Answer::Listed(Listed::Phones { phones, asked }) => self.listed(&phones, asked),
            Answer::Listed(Listed::End { outcome, asked }) => self.list_ends(&outcome, asked),
            Answer::Known(part, whole) => self.protected.know(part, whole),
            Answer::Profiles(profiles) => self.profiles(&profiles),
        }
    }
}

impl EngineTask {
    /// A profile has answered, or has not. Deafness of the policy holds only while one does not.
    pub(super) fn probed(&mut self, probed: Probed) {
        let now = self.clock.steady();
        if let Some(record) = self.flood.probed(probed, now) {
            self.publish(record);
        }
        let profiles = &self.flood.profiles;
        match profiles.deaf_since() {
            Some(since) => self.handle(Input::Probed { deaf_for: Some(now.since(since)) }),
            None if profiles.all_answer() => self.handle(Input::Probed { deaf_for: None }),
            None => {}
        }
    }
}

fn phone_of<'p>(phone: &Registered<'p>) -> Phone<'p> {
    let Registered { user, domain, source, call_id, port, .. } = *phone;
    Phone { user, domain, source, call_id, port }
}

/// The time of an event by FreeSWITCH's clock.
fn date(event: &Event) -> Option<Timestamp> {
    let date = event.header("Event-Date-Timestamp")?;
    date.lossy().parse().ok().map(Timestamp::from_micros)
}
