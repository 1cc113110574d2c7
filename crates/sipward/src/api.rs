//! The control API: HTTP/1 and JSON on a Unix socket.
//!
//! | path under `/api/v1` | methods | body → answer |
//! |---|---|---|
//! | `/status` | GET | [`model::Status`] |
//! | `/bans` | GET | [`model::BanQuery`] → [`model::BanPage`] |
//! | `/bans` | POST | [`model::NewBan`] → 201 [`model::BanMade`], 409 refused |
//! | `/bans` | DELETE | all of them → [`model::Unbanned`] |
//! | `/bans/{net}` | GET | [`model::Ban`] of exactly this network |
//! | `/bans/{net}` | DELETE | everything inside it, wider ones are split → [`model::Unbanned`] |
//! | `/sources/{address}` | GET | [`model::SourceReport`] |
//! | `/allow` | GET | [`model::AllowQuery`] → [`model::AllowPage`] |
//! | `/allow` | POST | [`model::NewAllow`] → 201, or 200 when it is there already, [`model::AllowChanged`] |
//! | `/allow/{host}` | DELETE | [`model::AllowChanged`]; 409 for an entry of the file |
//! | `/history` | GET | [`model::HistoryQuery`] → [`model::HistoryPage`] |
//! | `/policy` | GET | [`model::PolicyView`] |
//! | `/policy` | PATCH | [`model::PolicyChange`] → [`model::PolicyView`] |
//! | `/policy/{key}` | DELETE | an override → [`model::PolicyView`] |
//! | `/events` | GET | [`model::EventQuery`] → server-sent events, each a [`model::Line`] |
//! | `/failures` | GET | [`model::FailureQuery`] → [`model::FailurePage`] |
//! | `/test` | POST | [`model::WhatIfRequest`] → [`model::WhatIf`] |
//! | `/reload` | POST | [`model::Reloaded`]; 409 with what is wrong in the file |
//! | `/openapi.json` | GET | the OpenAPI document |
//!
//! In a path, the `/` of a network is written `%2F`. Errors are [`model::Problem`]s.

pub mod model;
