//! Why a ban or a denied flow was decided, as their tables keep it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::limits::UNIT;
use crate::{Cause, Evidence, Grade, Identity, RuleName};

/// Why a ban or a denied flow was decided: the whole [`Cause`], or its numbers alone once the details have aged out of memory.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptCause(Kept);

#[derive(Clone, Debug, PartialEq)]
enum Kept {
    Whole(Arc<Cause>),
    Numbers(Numbers),
}

/// An [`Evidence`] without details, in 40 bytes and no allocation: nearly all bans of a large table have one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Numbers {
    rule: RuleName,
    address: IpAddr,
    identity: Identity,
    grade: Grade,
    failures: u32,
    /// In thousandths.
    score: u32,
    max_failures: u32,
    window_ms: u32,
    ban_count: u32,
}

impl KeptCause {
    /// The cause.
    #[must_use]
    pub fn get(&self) -> Arc<Cause> {
        match &self.0 {
            Kept::Whole(cause) => Arc::clone(cause),
            Kept::Numbers(numbers) => Arc::new(Cause::Rule(numbers.evidence())),
        }
    }

    /// The evidence, when a rule decided.
    #[must_use]
    pub fn evidence(&self) -> Option<Cow<'_, Evidence>> {
        match &self.0 {
            Kept::Whole(cause) => cause.evidence().map(Cow::Borrowed),
            Kept::Numbers(numbers) => Some(Cow::Owned(numbers.evidence())),
        }
    }

    /// This rule decided it, and no split made it.
    pub(crate) fn is_of(&self, rule: RuleName) -> bool {
        match &self.0 {
            Kept::Whole(cause) => matches!(&**cause, Cause::Rule(it) if it.rule == rule),
            Kept::Numbers(numbers) => numbers.rule == rule,
        }
    }

    /// The readable part of the evidence is there.
    pub(crate) fn has_details(&self) -> bool {
        match &self.0 {
            Kept::Whole(cause) => {
                cause.evidence().is_some_and(|evidence| evidence.details.is_some())
            }
            Kept::Numbers(_) => false,
        }
    }

    /// Forgets the details.
    pub(crate) fn age(&mut self) {
        let Kept::Whole(cause) = &self.0 else { return };
        if let Cause::Rule(evidence) = &**cause
            && let Some(numbers) = Numbers::of(evidence)
        {
            self.0 = Kept::Numbers(numbers);
        } else if let Some(aged) = cause.aged() {
            self.0 = Kept::Whole(aged);
        }
    }
}

impl From<Arc<Cause>> for KeptCause {
    fn from(cause: Arc<Cause>) -> Self {
        Self(Kept::Whole(cause))
    }
}

impl Serialize for KeptCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl Numbers {
    /// `None` when they would not say the same: a window of more than seven weeks, which no policy has.
    fn of(evidence: &Evidence) -> Option<Self> {
        let score = (evidence.score * f64::from(UNIT)).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is compared below"
        )]
        let score = score as u32;
        let numbers = Self {
            rule: evidence.rule,
            address: evidence.address,
            identity: evidence.identity,
            grade: evidence.grade,
            failures: evidence.failures,
            score,
            max_failures: evidence.max_failures,
            window_ms: u32::try_from(evidence.window.as_millis()).ok()?,
            ban_count: evidence.ban_count,
        };
        let said = numbers.evidence();
        (said.score.to_bits() == evidence.score.to_bits() && said.window == evidence.window)
            .then_some(numbers)
    }

    fn evidence(self) -> Evidence {
        Evidence {
            rule: self.rule,
            address: self.address,
            identity: self.identity,
            failures: self.failures,
            score: f64::from(self.score) / f64::from(UNIT),
            max_failures: self.max_failures,
            window: Duration::from_millis(self.window_ms.into()),
            grade: self.grade,
            ban_count: self.ban_count,
            details: None,
        }
    }
}

#[cfg(test)]
mod tests;
