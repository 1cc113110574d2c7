//! Who asks.

pub(crate) use crate::api::model::Scope;

/// Who asks, as an extension of every request that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// Name of the token that opened, `link` for a one-time link, `socket` for the Unix socket.
    pub(crate) name: String,
    /// What he may do.
    pub(crate) scope: Scope,
    /// How he came in.
    pub(crate) way: Way,
}

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the control socket, where the kernel says who is at the other end.
    Socket,
    /// By a bearer token.
    Token,
    /// By the cookie of a session.
    Session,
}

impl Visitor {
    /// Whoever may use the control socket.
    pub(crate) fn on_socket() -> Self {
        Self { name: "socket".to_owned(), scope: Scope::Write, way: Way::Socket }
    }
}
