//! `[api]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Problem;

/// Where the control socket is when nothing is said.
pub const DEFAULT_SOCKET: &str = "/run/sipward/sipward.sock";

/// Longest path of a Unix socket, in bytes (`sun_path` less its final zero, unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// `[api]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ApiFile {
    socket: Option<PathBuf>,
}

/// The control API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its Unix socket; `None`: there is no API.
    pub socket: Option<PathBuf>,
}

impl ApiFile {
    pub(super) fn checked(self) -> Result<Api, Problem> {
        let socket = self.socket.unwrap_or_else(|| DEFAULT_SOCKET.into());
        if socket.as_os_str().is_empty() {
            return Ok(Api { socket: None });
        }
        if !socket.is_absolute() {
            let message = format!("`{}` is not an absolute path", socket.display());
            return Err(Problem::new("api.socket", message));
        }
        let length = socket.as_os_str().len();
        if length > MAX_SOCKET_PATH {
            let message = format!(
                "the path has {length} bytes, more than the {MAX_SOCKET_PATH} allowed for a Unix \
                    socket"
            );
            return Err(Problem::new("api.socket", message));
        }
        Ok(Api { socket: Some(socket) })
    }
}
