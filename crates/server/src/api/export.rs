//! `/bans.csv`, `/bans.json` and `/bans.txt`: all matching bans.
//!
//! They are read in parts, each after the previous one was sent: half a million bans are never in memory at once, and
//! a slow reader delays no other client.

mod csv;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use ipnet::IpNet;

use super::Api;
use crate::http::error::{self, ApiError};
use crate::http::extract::Query;
use sipward_daemon::control::ControlError;
use sipward_model::wire::{Ban, BanFilter};

/// All bans as a table for spreadsheets (RFC 4180), in the order of their networks.
///
/// Cells that a spreadsheet would take for a formula begin with `'`; control characters are escaped.
#[utoipa::path(
    get, path = "/api/v1/bans.csv", tag = "bans", params(BanFilter),
    responses(
        (status = 200, description = "A header line and one line per ban", body = String,
         content_type = "text/csv"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn as_csv(
    State(api): State<Api>,
    Query(filter): Query<BanFilter>,
) -> Result<Response, ApiError> {
    send(&api, filter, &CSV)
}

/// All bans as one JSON list, in the order of their networks.
#[utoipa::path(
    get, path = "/api/v1/bans.json", tag = "bans", params(BanFilter),
    responses(
        (status = 200, description = "The bans", body = Vec<Ban>), error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn as_json(
    State(api): State<Api>,
    Query(filter): Query<BanFilter>,
) -> Result<Response, ApiError> {
    send(&api, filter, &JSON)
}

/// The networks of all bans, a line for each, in their order: for a firewall, and to compare with the kernel's
/// routes.
#[utoipa::path(
    get, path = "/api/v1/bans.txt", tag = "bans", params(BanFilter),
    responses(
        (status = 200, description = "One network per \
            line", body = String, content_type = "text/plain"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn as_text(
    State(api): State<Api>,
    Query(filter): Query<BanFilter>,
) -> Result<Response, ApiError> {
    send(&api, filter, &TEXT)
}

/// How a file is written.
struct Form {
    head: fn() -> Vec<u8>,
    /// Some bans; whether they are the first.
    part: fn(&[Ban], bool) -> Vec<u8>,
    tail: &'static str,
    kind: &'static str,
    disposition: &'static str,
}

static CSV: Form = Form {
    head: csv::head,
    part: |bans, _| csv::lines(bans),
    tail: "",
    kind: "text/csv; charset=utf-8; header=present",
    disposition: "attachment; filename=\"sipward-bans.csv\"",
};

static JSON: Form = Form {
    head: || b"[".to_vec(),
    part: json,
    tail: "]\n",
    kind: "application/json",
    disposition: "attachment; filename=\"sipward-bans.json\"",
};

static TEXT: Form = Form {
    head: Vec::new,
    part: |bans, _| bans.iter().flat_map(|ban| format!("{}\n", ban.net).into_bytes()).collect(),
    tail: "",
    kind: "text/plain; charset=utf-8",
    disposition: "attachment; filename=\"sipward-bans.txt\"",
};

fn json(bans: &[Ban], first: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (n, ban) in bans.iter().enumerate() {
        if n > 0 || !first {
            out.extend_from_slice(b",\n");
        }
        // Nothing in it can fail to be written into memory.
        out.extend(serde_json::to_vec(ban).unwrap_or_default());
    }
    out
}

/// What is still to be sent.
enum Rest {
    All,
    /// What comes behind this network; whether nothing was sent yet.
    Behind(Option<IpNet>, bool),
    Nothing,
}

fn send(api: &Api, filter: BanFilter, form: &'static Form) -> Result<Response, ApiError> {
    let reader = api.control.read_bans(filter)?;
    let parts = try_unfold((reader, Rest::All), move |(reader, rest)| async move {
        let (bytes, rest) = match rest {
            Rest::All => ((form.head)(), Rest::Behind(None, true)),
            Rest::Behind(last, first) => {
                let (bans, last) = reader.read(last).await?;
                let mut bytes = (form.part)(&bans, first);
                let rest = if last.is_some() {
                    Rest::Behind(last, first && bans.is_empty())
                } else {
                    bytes.extend_from_slice(form.tail.as_bytes());
                    Rest::Nothing
                };
                (bytes, rest)
            }
            Rest::Nothing => return Ok::<_, ControlError>(None),
        };
        Ok(Some((Bytes::from(bytes), (reader, rest))))
    });
    let headers =
        [(header::CONTENT_TYPE, form.kind), (header::CONTENT_DISPOSITION, form.disposition)];
    Ok((headers, Body::from_stream(parts)).into_response())
}

#[cfg(test)]
mod tests;
