//! The names of the headers that records are read from.

/// Declares [`Name`]: each header once, as FreeSWITCH spells it.
macro_rules! names {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// A header that a record is read from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Name {
            $($name),+
        }

        impl Name {
            pub(super) const ALL: [Self; [$(Self::$name),+].len()] = [$(Self::$name),+];

            /// As FreeSWITCH spells it.
            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }
        }
    };
}

names! {
    AuthResult = "auth-result",
    CallId = "call-id",
    CallingFile = "Event-Calling-File",
    Command = "Command",
    Contact = "contact",
    CoreUuid = "Core-UUID",
    Expires = "expires",
    FromHost = "from-host",
    FromUser = "from-user",
    Gateway = "Gateway",
    GatewayStatus = "Status",
    Host = "host",
    NetworkIp = "network-ip",
    NetworkPort = "network-port",
    Phrase = "Phrase",
    PingStatus = "Ping-Status",
    Profile = "profile-name",
    Realm = "realm",
    RegisterIp = "Register-Network-IP",
    RegisterPort = "Register-Network-Port",
    RegistrationType = "registration-type",
    Sequence = "Event-Sequence",
    State = "State",
    Status = "status",
    Subclass = "Event-Subclass",
    Timestamp = "Event-Date-Timestamp",
    ToHost = "to-host",
    ToUser = "to-user",
    UpdateReg = "update-reg",
    User = "user",
    UserAgent = "user-agent",
    Username = "username",
}

/// The first of these names that a line begins with, and its length, colon included. Name and colon are
/// compared at once, as bytes, because FreeSWITCH spells each name in one way only.
macro_rules! one_of {
    ($line:ident, $($text:literal => $name:ident),+ $(,)?) => {
        $(if $line.starts_with(concat!($text, ":").as_bytes()) {
            Some((Name::$name, $text.len() + 1))
        } else)+ {
            None
        }
    };
}

impl Name {
    /// The name that a line begins with, and its length, colon included. Compares the line with the names
    /// that begin with its letter, which is cheaper than finding its colon first. No name holds a line end, so
    /// `line` may be followed by others.
    #[inline]
    pub(super) fn at_front(line: &[u8]) -> Option<(Self, usize)> {
        match line.first()? {
            b'E' => Self::of_event(line),
            b'C' => one_of!(line, "Core-UUID" => CoreUuid, "Command" => Command),
            b'n' => one_of!(line,
                "network-ip" => NetworkIp,
                "network-port" => NetworkPort,
                "network_ip" => NetworkIp,
                "network_port" => NetworkPort,
            ),
            b't' => one_of!(line, "to-user" => ToUser, "to-host" => ToHost),
            b'f' => one_of!(line,
                "from-user" => FromUser,
                "from-host" => FromHost,
                "from_user" => FromUser,
            ),
            b'u' => one_of!(line,
                "user-agent" => UserAgent,
                "username" => Username,
                "user" => User,
                "update-reg" => UpdateReg,
            ),
            b'r' => one_of!(line, "registration-type" => RegistrationType, "realm" => Realm),
            b'c' => one_of!(line, "call-id" => CallId, "contact" => Contact),
            b'p' => one_of!(line, "profile-name" => Profile),
            b'a' => one_of!(line, "auth-result" => AuthResult),
            b's' => one_of!(line, "status" => Status),
            b'e' => one_of!(line, "expires" => Expires),
            b'h' => one_of!(line, "host" => Host),
            b'R' => one_of!(line,
                "Register-Network-IP" => RegisterIp,
                "Register-Network-Port" => RegisterPort,
            ),
            b'G' => one_of!(line, "Gateway" => Gateway),
            b'S' => one_of!(line, "State" => State, "Status" => GatewayStatus),
            b'P' => one_of!(line, "Ping-Status" => PingStatus, "Phrase" => Phrase),
            _ => None,
        }
    }

    /// A third of all lines begin with `Event-`; the next letter distinguishes them.
    #[inline]
    fn of_event(line: &[u8]) -> Option<(Self, usize)> {
        match line.get(b"Event-".len())? {
            b'S' => one_of!(line, "Event-Subclass" => Subclass, "Event-Sequence" => Sequence),
            b'D' => one_of!(line, "Event-Date-Timestamp" => Timestamp),
            b'C' => one_of!(line, "Event-Calling-File" => CallingFile),
            _ => None,
        }
    }
}
