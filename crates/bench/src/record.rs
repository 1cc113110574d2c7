//! What every client reads from an event.

use std::net::IpAddr;

/// The fields of `sofia::register_failure` that `sipward_esl::sofia::RegisterFailure` has, decoded. `Core-UUID`
/// and origin are left out in the peers' favour. Texts are bytes: their senders need not write UTF-8.
pub(crate) struct Record<'e> {
    pub(crate) time: u64,
    pub(crate) sequence: u64,
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
    pub(crate) profile: &'e [u8],
    pub(crate) user: &'e [u8],
    pub(crate) domain: &'e [u8],
    pub(crate) user_agent: &'e [u8],
    pub(crate) method: &'e [u8],
}

/// What a stream of records adds up to: shows that a client has read every field of every event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum(pub(crate) u64);

impl Sum {
    pub(crate) fn add(&mut self, record: &Record<'_>) {
        let ip = match record.ip {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.segments().into_iter().map(u64::from).sum(),
        };
        let texts = [record.profile, record.user, record.domain, record.user_agent, record.method];
        let lengths: usize = texts.iter().map(|text| text.len()).sum();
        let port = u64::from(record.port);
        for part in [record.time, record.sequence, ip, port, lengths as u64] {
            self.0 = self.0.wrapping_add(part);
        }
    }
}
