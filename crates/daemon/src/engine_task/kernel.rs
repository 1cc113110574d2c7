//! The kernel's answers that the engine does not keep: why a ban is ineffective, which route blocks it, and which
//! unbans are still under way.

use std::collections::{HashMap, VecDeque};

use ipnet::IpNet;
use sipward_engine::UnblockReason;
use sipward_route::Enforcement;

use sipward_model::record::Record;

/// Bans with a note at most; all of them if a rule of another program bypasses every ban. The rest have a
/// state without a reason.
const NOTES: usize = 65_536;
/// Most remembered networks that were unbanned but are still blocked.
const STILL_STOPPED: usize = 1_000;

/// What the kernel said.
#[derive(Debug, Default)]
pub struct KernelSide {
    notes: HashMap<IpNet, Note>,
    /// Packets of each banned host that the gate dropped; only while few are banned.
    dropped: HashMap<IpNet, u64>,
    ineffective: usize,
    leaving: HashMap<IpNet, UnblockReason>,
    still_stopped: VecDeque<(IpNet, String)>,
    changed: Changed,
}

/// What the kernel said of one ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Why it stops nothing.
    Ineffective(Box<str>),
    /// The route of another program that stops it.
    StoppedBy(Box<str>),
}

/// What bans are worth now, and were not before.
#[derive(Debug, Default)]
struct Changed {
    enforced: usize,
    not_enforced: usize,
    example: Option<(IpNet, Option<String>)>,
}

impl KernelSide {
    pub fn note(&self, net: IpNet) -> Option<&Note> {
        self.notes.get(&net)
    }

    /// Packets that the gate dropped because of a ban, since the ban or since the gate was put back; `None` where they
    /// are not counted.
    pub fn dropped(&self, net: IpNet) -> Option<u64> {
        self.dropped.get(&net).copied()
    }

    /// Takes the latest counts, which replace those before.
    pub(super) fn count_dropped(&mut self, packets: Vec<(IpNet, u64)>) {
        self.dropped = packets.into_iter().collect();
    }

    /// Active bans that are ineffective, in ban mode.
    pub fn ineffective(&self) -> usize {
        self.ineffective
    }

    /// Takes note of what a route is worth.
    pub(super) fn take_note(&mut self, net: IpNet, enforcement: &Enforcement) {
        let note = match enforcement {
            // In observe mode that is so of every ban.
            Enforcement::Full
            | Enforcement::SipOnly
            | Enforcement::InboundOnly { .. }
            | Enforcement::DryRun => None,
            Enforcement::StoppedByOther { route } => Some(Note::StoppedBy(route.as_str().into())),
            Enforcement::RepliesOnly
            | Enforcement::Outranked { .. }
            | Enforcement::PassedBy { .. }
            | Enforcement::NotEnforced { .. } => {
                Some(Note::Ineffective(enforcement.to_string().into()))
            }
        };
        self.forget(net);
        if let Some(note) = note.filter(|_| self.notes.len() < NOTES) {
            self.ineffective += usize::from(matches!(note, Note::Ineffective(_)));
            self.notes.insert(net, note);
        }
    }

    /// There is nothing to say of a network any more.
    pub(super) fn forget(&mut self, net: IpNet) {
        if let Some(Note::Ineffective(_)) = self.notes.remove(&net) {
            self.ineffective -= 1;
        }
        if self.notes.is_empty() {
            self.notes.shrink_to(0);
        }
    }

    /// A ban was made before, and is now worth something else.
    pub(super) fn changed(&mut self, net: IpNet, enforced: bool, because: Option<String>) {
        let count =
            if enforced { &mut self.changed.enforced } else { &mut self.changed.not_enforced };
        *count += 1;
        let is_worse = !enforced && self.changed.not_enforced == 1;
        if is_worse || self.changed.example.is_none() {
            self.changed.example = Some((net, because));
        }
    }

    /// What has changed since this was asked last, as one record.
    pub(super) fn take_changed(&mut self) -> Option<Record> {
        let Changed { enforced, not_enforced, example } = std::mem::take(&mut self.changed);
        let (net, because) = example?;
        Some(Record::Enforcement { enforced, not_enforced, net, because })
    }

    /// A ban ended: its record waits until no route of sipward is left.
    pub(super) fn leave(&mut self, net: IpNet, reason: UnblockReason) {
        self.forget(net);
        self.dropped.remove(&net);
        self.leaving.insert(net, reason);
    }

    /// No route of sipward is left for a network. Returns the reason of the unban.
    pub(super) fn left(&mut self, net: IpNet, still: Option<&str>) -> Option<UnblockReason> {
        let reason = self.leaving.remove(&net)?;
        if self.leaving.is_empty() {
            self.leaving.shrink_to(0);
        }
        if let Some(still) = still {
            if self.still_stopped.len() >= STILL_STOPPED {
                self.still_stopped.pop_front();
            }
            self.still_stopped.push_back((net, still.to_owned()));
        }
        Some(reason)
    }

    /// Another kernel side has to answer for everything. Gives the unbans that were not answered yet.
    pub(super) fn restart(&mut self) -> Vec<IpNet> {
        self.notes = HashMap::new();
        self.dropped = HashMap::new();
        self.ineffective = 0;
        self.changed = Changed::default();
        self.leaving.keys().copied().collect()
    }

    /// Unbans that the kernel has not carried out yet.
    pub fn leaving(&self) -> usize {
        self.leaving.len()
    }

    /// Whether the unban of a network is carried out.
    pub fn has_left(&self, net: IpNet) -> bool {
        !self.leaving.contains_key(&net)
    }

    /// What stops a network that was unbanned lately.
    pub fn still_stopped_by(&self, net: IpNet) -> Option<&str> {
        let latest = self.still_stopped.iter().rev().find(|(of, _)| *of == net);
        latest.map(|(_, by)| by.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn a_ban_is_noted_while_it_is_not_just_enforced() {
        let (mut kernel, net) = (KernelSide::default(), net("192.0.2.7/32"));
        kernel.take_note(net, &Enforcement::RepliesOnly);
        assert_eq!(kernel.ineffective(), 1);
        kernel.take_note(net, &Enforcement::StoppedByOther { route: "unreachable".to_owned() });
        assert_eq!(kernel.note(net), Some(&Note::StoppedBy("unreachable".into())));
        assert_eq!(kernel.ineffective(), 0);
        kernel.take_note(net, &Enforcement::Full);
        assert_eq!(kernel.note(net), None);
    }

    #[test]
    fn changes_are_told_together_and_the_worse_is_the_example() {
        let mut kernel = KernelSide::default();
        assert!(kernel.take_changed().is_none());
        kernel.changed(net("192.0.2.1/32"), true, None);
        kernel.changed(net("192.0.2.2/32"), false, Some("a rule".to_owned()));
        kernel.changed(net("192.0.2.3/32"), false, Some("another".to_owned()));
        let Some(Record::Enforcement { enforced, not_enforced, net: example, because }) =
            kernel.take_changed()
        else {
            panic!("two kinds of changes")
        };
        assert_eq!((enforced, not_enforced, example), (1, 2, net("192.0.2.2/32")));
        assert_eq!(because.as_deref(), Some("a rule"));
        assert!(kernel.take_changed().is_none());
    }

    #[test]
    fn an_unban_is_over_when_the_kernel_has_answered() {
        let (mut kernel, net) = (KernelSide::default(), net("192.0.2.7/32"));
        kernel.leave(net, UnblockReason::Manual);
        assert!(!kernel.has_left(net));
        assert_eq!(kernel.left(net, Some("another blackhole")), Some(UnblockReason::Manual));
        assert!(kernel.has_left(net));
        assert_eq!(kernel.still_stopped_by(net), Some("another blackhole"));
        assert_eq!(kernel.left(net, None), None);
    }
}
