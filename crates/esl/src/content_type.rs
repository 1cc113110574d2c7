//! What a frame holds.

/// `Content-Type` of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentType {
    /// `auth/request`: the greeting; FreeSWITCH waits 25 s for `auth` or `userauth`.
    AuthRequest,
    /// `command/reply`: the answer to every command but `api`.
    CommandReply,
    /// `api/response`: the answer to `api`.
    ApiResponse,
    /// `text/event-plain`.
    EventPlain,
    /// `text/event-json`.
    EventJson,
    /// `text/event-xml`.
    EventXml,
    /// `log/data`: a line of the log.
    LogData,
    /// `text/disconnect-notice`: FreeSWITCH closes the connection (`Content-Disposition: linger`: soon).
    DisconnectNotice,
    /// `text/rude-rejection`: the ACL refuses this client.
    RudeRejection,
    /// Anything else; see [`Frame::header`](crate::Frame::header).
    Other,
}
