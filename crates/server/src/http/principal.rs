//! The user of a request.

use sipward_model::wire::{AuthMethod, Scope};

/// The user, as an extension of every admitted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Name of the token that opened, `link` for a one-time link, `root` or `uid N` on the Unix socket.
    pub name: String,
    /// The scope of the user.
    pub scope: Scope,
    /// The way of the log-in.
    pub way: AuthMethod,
}

impl Principal {
    /// A user who may use the control socket.
    pub fn on_socket(user: u32) -> Self {
        let name = if user == 0 { "root".to_owned() } else { format!("uid {user}") };
        Self { name, scope: Scope::Write, way: AuthMethod::Socket }
    }
}
