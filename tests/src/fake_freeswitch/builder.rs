//! How a fake FreeSWITCH is set up.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use super::settings::{Delivery, Greeting, Settings};
use super::{FakeFreeSwitch, server};

/// How often FreeSWITCH sends HEARTBEAT (`event-heartbeat-interval`, default 20 s).
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);

/// FreeSWITCH's public default password.
pub const DEFAULT_PASSWORD: &str = "ClueCon";

/// A fake FreeSWITCH before its start; see [`FakeFreeSwitch::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    listen: SocketAddr,
    pub(super) settings: Settings,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            settings: Settings {
                password: DEFAULT_PASSWORD.to_owned(),
                user: None,
                greeting: Greeting::Handshake,
                delivery: Delivery::Whole,
                heartbeat: HEARTBEAT_INTERVAL,
                answers: quiet_directory(),
            },
        }
    }
}

impl Builder {
    /// Listens on `address`; default 127.0.0.1 with a free port.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// The password that `auth` (and `userauth`) must bring; default [`DEFAULT_PASSWORD`].
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.settings.password);
        self
    }

    /// A directory user (`name@domain`) that may log in by `userauth`; default none.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.settings.user = Some(user.to_owned());
        self
    }

    /// How connections are met; default [`Greeting::Handshake`].
    #[must_use]
    pub fn greeting(mut self, greeting: Greeting) -> Self {
        self.settings.greeting = greeting;
        self
    }

    /// In what pieces bytes go out; default [`Delivery::Whole`].
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.settings.delivery = delivery;
        self
    }

    /// Time between two HEARTBEAT events, above zero; default 20 s.
    #[must_use]
    pub fn heartbeat_every(mut self, interval: Duration) -> Self {
        self.settings.heartbeat = interval.max(Duration::from_millis(1));
        self
    }

    /// What `api` and `bgapi` answer to `command`; default: no phone is registered, there are no
    /// gateways and profiles, `acl.conf` is empty, every ACL says no, and other commands are not found.
    #[must_use]
    pub fn answer(mut self, command: &str, body: &str) -> Self {
        self.settings.answers.insert(command.to_owned(), body.to_owned());
        self
    }

    /// Starts it on a thread of its own, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When the address cannot be bound or the thread not be started.
    pub fn start(self) -> io::Result<FakeFreeSwitch> {
        let listener = TcpListener::bind(self.listen)?;
        listener.set_nonblocking(true)?;
        server::start(listener, self.settings)
    }
}

impl Settings {
    /// The answer to an API command.
    pub(super) fn answer(&self, command: &str) -> String {
        let name = command.split(' ').next().unwrap_or_default();
        match self.answers.get(command) {
            Some(body) => body.clone(),
            // As recorded: a list that does not exist says no as well.
            None if name == "acl" => "false".to_owned(),
            None => format!("-ERR {name} Command not found!\n"),
        }
    }
}

/// A FreeSWITCH without phones and gateways.
fn quiet_directory() -> BTreeMap<String, String> {
    [
        ("show registrations as json", "{\"row_count\":0}"),
        ("sofia xmlstatus gateway", "<gateways>\n</gateways>\n"),
        ("sofia xmlstatus", "<profiles>\n</profiles>\n"),
        (
            "xml_locate configuration configuration name acl.conf",
            "<configuration name=\"acl.conf\"><network-lists></network-lists></configuration>",
        ),
        (
            "xml_locate configuration configuration name sofia.conf",
            "<configuration name=\"sofia.conf\"><profiles><profile name=\"internal\"></profile></profiles>\
             </configuration>",
        ),
    ]
    .map(|(command, body)| (command.to_owned(), body.to_owned()))
    .into()
}
