//! Checks of everything that sipward needs.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The result of a check.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// Needs a look.
    Warn,
    /// Does not work.
    Fail,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What was looked at.
    #[schema(value_type = String, example = "event socket")]
    pub check: Cow<'static, str>,
    /// The result.
    pub state: CheckState,
    /// The finding. May contain text of attackers and must be escaped before it is printed.
    pub found: String,
    /// What to do; `null` where there is nothing to do.
    pub advice: Option<String>,
}

/// All checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Examination {
    /// The worst state among them.
    pub worst: CheckState,
    /// One for each thing, always all of them and in the same order.
    pub checks: Vec<Check>,
}

/// Which checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct DoctorQuery {
    /// Only what nobody but the daemon knows: `sipward doctor` makes the other checks itself. All when left out.
    pub own: bool,
}

impl Check {
    /// As it should be.
    pub fn ok(check: impl Into<Cow<'static, str>>, found: impl Into<String>) -> Self {
        Self { check: check.into(), state: CheckState::Ok, found: found.into(), advice: None }
    }

    /// Needs a look.
    pub fn warn(
        check: impl Into<Cow<'static, str>>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { check: check.into(), state: CheckState::Warn, found: found.into(), advice }
    }

    /// Does not work.
    pub fn fail(
        check: impl Into<Cow<'static, str>>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { check: check.into(), state: CheckState::Fail, found: found.into(), advice }
    }
}

impl Examination {
    /// These checks, with the worst state among them.
    #[must_use]
    pub fn of(checks: Vec<Check>) -> Self {
        let worst = checks.iter().map(|check| check.state).max().unwrap_or(CheckState::Ok);
        Self { worst, checks }
    }
}
