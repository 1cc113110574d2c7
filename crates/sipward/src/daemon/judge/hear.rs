//! What the engine's task hears: events and news of the connection, orders of the other tasks.

use std::time::{Duration, Instant};

use sipward_engine::{CoreId, Exemption, Input, Mode, Registered, Text};
use sipward_esl::{Event, LogLine, Notice};

use super::{FirstList, Judge, LIST_LAG, Order};
use crate::bridge::{self, Aside};
use crate::clock::stamp;
use crate::complaint::Heard;
use crate::daemon::directory::{Question, Registration};
use crate::record::Record;

impl Judge {
    pub(super) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Event { event, received } => self.event(&event, received),
            Notice::Connected { peer, local: _ } => {
                if std::mem::take(&mut self.never_connected) {
                    // Challenges before were not seen, so none is missing.
                    let (from, to) = (self.clock.at_start(), self.clock.now());
                    self.tell(Input::Blind { from, to });
                }
                self.peer = Some(peer);
                let nets = vec![peer.ip().into()];
                self.tell(Input::Exempt { class: Exemption::EslPeer, nets });
                if self.wants_log() {
                    self.ask(Question::Log { wanted: true });
                }
                self.ask(Question::Snapshot);
                self.publish(Record::EslConnected { peer });
            }
            Notice::Disconnected { error, retry_in } => {
                self.peer = None;
                let retry_in_seconds = retry_in.as_secs_f64();
                self.publish(Record::EslDisconnected {
                    error: error.to_string(),
                    retry_in_seconds,
                });
            }
            Notice::Restarted { old, new } => {
                self.tell(Input::Core(bridge::core_id(new)));
                let (old, new) = (old.to_string(), new.to_string());
                self.publish(Record::EslRestarted { old, new });
            }
            Notice::Blind { from, to } => {
                // The snapshot that fills the gap is asked for by the `Connected` before it.
                self.tell(Input::Blind { from: stamp(from), to: stamp(to) });
                let seconds = stamp(to).since(stamp(from)).as_secs_f64();
                self.publish(Record::EslBlind { seconds });
            }
            Notice::Overflow { dropped } => {
                self.missed = true;
                self.publish(Record::EslOverflow { dropped });
            }
            Notice::Damaged { error, .. } => {
                self.publish(Record::EventUnusable { error: error.to_string() });
            }
            Notice::Unusable { frame } => {
                tracing::debug!(content_type = ?frame.content_type(), "frame without a use");
            }
            Notice::Log { line, received } => self.log_line(&line, received),
            // A later version of the library may tell more.
            _ => {}
        }
    }

    pub(super) fn event(&mut self, event: &Event, received: Instant) {
        self.totals.events += 1;
        let now = self.clock.at(received);
        let Self { engine, actions, .. } = self;
        match bridge::translate(event, |input| engine.handle(input, now, actions)) {
            Aside::Nothing => {}
            Aside::Gateway => self.ask(Question::Gateways),
            Aside::Told(record) => self.publish(*record),
        }
        self.carry_out(Some(received));
    }

    pub(super) fn log_line(&mut self, line: &LogLine, received: Instant) {
        let now = self.clock.at(received);
        match self.log.read(line, now) {
            Some(Heard::Complaint(complaint)) => {
                let input = Input::Complaint(complaint.as_input());
                self.engine.handle(input, now, &mut self.actions);
                self.carry_out(Some(received));
            }
            Some(Heard::RefusedLogin(complaint, reason)) => {
                let user = Text::new(complaint.user.as_deref().unwrap_or_default());
                self.publish(Record::RefusedLogin { source: complaint.source, user, reason });
            }
            None => {}
        }
    }

    fn registrations(&mut self, phones: &[Registration], asked: Instant) {
        let now = self.clock.now().as_micros() / 1_000_000;
        let registered = phones.iter().map(|phone| Registered {
            source: phone.source,
            user: &phone.user,
            domain: &phone.domain,
            username: None,
            call_id: &phone.token,
            user_agent: "",
            life: phone.expires.map(|at| Duration::from_secs(at.saturating_sub(now))),
            core: CoreId::default(),
        });
        let asked = self.clock.at(asked.checked_sub(LIST_LAG).unwrap_or(asked));
        let first = self.first_list.take().is_some_and(FirstList::claim);
        self.tell(Input::Registrations { phones: registered.collect(), asked, first });
        if let Some(spare) = &mut self.spare {
            spare.phones_known();
        }
        self.publish(Record::Registrations { phones: phones.len() });
    }

    /// The log is of use as long as the rule is on, if only in shadow.
    pub(super) fn wants_log(&self) -> bool {
        self.engine.policy().rules.log.guard.mode != Mode::Off
    }

    pub(super) fn order(&mut self, order: Order) {
        match order {
            Order::Policy(policy) => {
                let wanted = self.wants_log();
                self.tell(Input::Policy(policy));
                if wanted != self.wants_log() && self.peer.is_some() {
                    self.ask(Question::Log { wanted: !wanted });
                }
            }
            Order::AclsChanged => self.tell(Input::AclsChanged),
            Order::Exempt(classes) => {
                for (class, nets) in classes {
                    self.tell(Input::Exempt { class, nets });
                }
            }
            Order::Trunks(nets) => {
                self.tell(Input::Exempt { class: Exemption::Trunk, nets: nets.clone() });
                self.publish(Record::Trunks { sources: nets });
            }
            Order::Registered { phones, asked } => self.registrations(&phones, asked),
            Order::Saved(saved) => self.late(*saved),
            Order::Acl { addr, allowed } => self.tell(Input::AclAnswer { addr, allowed }),
            Order::Visit(visit) => visit.pay(self),
        }
    }
}
