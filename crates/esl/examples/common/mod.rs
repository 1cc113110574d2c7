//! What the examples share.

use std::{env, error::Error};

use sipward_esl::{Password, SessionConfig};

/// Where the Event Socket is: `ESL_HOST`, `ESL_PORT`, `ESL_USER` and `ESL_PASSWORD`.
pub(crate) fn config() -> Result<SessionConfig, Box<dyn Error>> {
    let password = env::var("ESL_PASSWORD").map_err(|error| format!("ESL_PASSWORD: {error}"))?;
    let host = env::var("ESL_HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let mut config = SessionConfig::new(host, Password::new(password)?);
    if let Ok(port) = env::var("ESL_PORT") {
        config.port = port.parse().map_err(|error| format!("ESL_PORT: {error}"))?;
    }
    config.user = env::var("ESL_USER").ok();
    Ok(config)
}
