//! What operators say to the whole fleet, with a credential of their own.

#[cfg(feature = "fleet")]
mod connected;

use std::path::PathBuf;

/// How an operator connects.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct Operator {
    /// Servers instead of those of the file: `nats://HOST:4222` or `tls://HOST:4222`.
    #[arg(long = "server", value_name = "URL", help_heading = "Operator")]
    servers: Vec<String>,
    /// The operator's name: 1 to 32 of a-z, 0-9 and `-`.
    #[arg(long = "as", value_name = "NAME", default_value = "operator", help_heading = "Operator")]
    name: String,
    /// The operator's NATS credentials file, instead of `SIPWARD_FLEET_CREDENTIALS`.
    #[arg(long, value_name = "FILE", help_heading = "Operator")]
    credentials: Option<PathBuf>,
    /// Certificates that the servers' are signed with, instead of `fleet.ca`.
    #[arg(long, value_name = "FILE", help_heading = "Operator")]
    ca: Option<PathBuf>,
    /// The operator's certificate, with `--key`.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "Operator")]
    certificate: Option<PathBuf>,
    /// The key of the certificate.
    #[arg(long, value_name = "FILE", requires = "certificate", help_heading = "Operator")]
    key: Option<PathBuf>,
}

/// How far a node is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Trust {
    /// Its bans count.
    Accept,
    /// Its bans are listed and not made.
    Shadow,
    /// Nothing it says counts.
    Ignore,
}

#[cfg(not(feature = "fleet"))]
mod connected {
    use std::path::Path;

    use ipnet::IpNet;

    use super::{Operator, Trust};
    use crate::cli::remote::Exit;

    impl Operator {
        fn with_fleet(&self) -> anyhow::Result<Exit> {
            let Self { servers: _, name: _, credentials: _, ca: _, certificate: _, key: _ } = self;
            Err(crate::with_fleet::exec())
        }

        pub(in crate::cli) fn init(&self, _: Option<&Path>, _: (u8, u32)) -> anyhow::Result<Exit> {
            self.with_fleet()
        }

        pub(in crate::cli) fn judge(
            &self,
            _: Option<&Path>,
            _: &str,
            _: (Trust, u32),
        ) -> anyhow::Result<Exit> {
            self.with_fleet()
        }

        pub(in crate::cli) fn lift(
            &self,
            _: Option<&Path>,
            _: &[IpNet],
            _: &str,
        ) -> anyhow::Result<Exit> {
            self.with_fleet()
        }
    }
}
