//! Networks as the database orders them: family, first address, prefix length. So every network
//! inside another lies in one range of keys, and every network around one has a key that is known.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Value, ValueRef};

/// Family, address and prefix length of IPv6; IPv4 needs less.
const MAX: usize = 1 + 16 + 1;

/// A network as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    bytes: [u8; MAX],
    len: usize,
}

impl Key {
    fn new(addr: IpAddr, prefix: u8) -> Self {
        let mut bytes = [0; MAX];
        let mut len = 0;
        let mut push = |byte: u8| {
            if let Some(place) = bytes.get_mut(len) {
                *place = byte;
                len += 1;
            }
        };
        match addr {
            IpAddr::V4(addr) => {
                push(4);
                addr.octets().into_iter().for_each(&mut push);
            }
            IpAddr::V6(addr) => {
                push(6);
                addr.octets().into_iter().for_each(&mut push);
            }
        }
        push(prefix);
        Self { bytes, len }
    }

    /// The least and the greatest key of a network inside `net`. In between also lie the networks
    /// around it that begin with the same address.
    pub(super) fn range(net: IpNet) -> (Self, Self) {
        (Self::new(net.network(), 0), Self::new(net.broadcast(), u8::MAX))
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn net(bytes: &[u8]) -> Option<IpNet> {
        let (&prefix, rest) = bytes.split_last()?;
        let (&family, addr) = rest.split_first()?;
        match family {
            4 => {
                let addr: [u8; 4] = addr.try_into().ok()?;
                Some(Ipv4Net::new(addr.into(), prefix).ok()?.trunc().into())
            }
            6 => {
                let addr: [u8; 16] = addr.try_into().ok()?;
                Some(Ipv6Net::new(addr.into(), prefix).ok()?.trunc().into())
            }
            _ => None,
        }
    }
}

impl From<IpNet> for Key {
    fn from(net: IpNet) -> Self {
        Self::new(net.network(), net.prefix_len())
    }
}

impl From<IpAddr> for Key {
    fn from(addr: IpAddr) -> Self {
        IpNet::from(addr).into()
    }
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        Self::Blob(key.as_slice().to_vec())
    }
}

impl ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_slice())))
    }
}

/// A network, read from its key.
pub(super) struct Net(pub(super) IpNet);

impl FromSql for Net {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        Key::net(bytes).map(Net).ok_or(FromSqlError::InvalidType)
    }
}

#[cfg(test)]
mod tests;
