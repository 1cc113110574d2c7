//! `/test`: what would happen.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer};
use crate::http::extract::Sent;
use sipward_model::wire::{WhatIf, WhatIfRequest};

/// What would happen if FreeSWITCH sent this? Nothing is changed.
#[utoipa::path(
    post, path = "/api/v1/test", tag = "sources", request_body = WhatIfRequest,
    responses(
        (status = 200, description = "What would happen", body = WhatIf), error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn ask(
    State(api): State<Api>,
    Sent(request): Sent<WhatIfRequest>,
) -> Answer<WhatIf> {
    Ok(Json(api.control.what_if(request).await?))
}
