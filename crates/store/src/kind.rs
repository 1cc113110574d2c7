//! The kinds of events in the history.

use serde::Serialize;

/// The kinds of [`super::What`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// [`super::What::Ban`].
    Ban,
    /// [`super::What::Unban`].
    Unban,
    /// [`super::What::Refused`].
    Refused,
    /// [`super::What::FlowDenied`].
    FlowDenied,
    /// [`super::What::FlowAllowed`].
    FlowAllowed,
}

impl HistoryKind {
    /// How the database has it.
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Ban => 0,
            Self::Unban => 1,
            Self::Refused => 2,
            Self::FlowDenied => 3,
            Self::FlowAllowed => 4,
        }
    }

    pub(super) fn of_number(number: i64) -> Option<Self> {
        let all = [Self::Ban, Self::Unban, Self::Refused, Self::FlowDenied, Self::FlowAllowed];
        all.into_iter().find(|kind| kind.number() == number)
    }
}
