//! FreeSWITCH's answers, read.

use std::net::IpAddr;

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;
use serde_json::Value;

/// Gateways that are looked at, at most: each may cost a look-up of a name.
const MAX_GATEWAYS: usize = 1_024;

/// One phone that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Registration {
    pub(in crate::daemon) user: String,
    pub(in crate::daemon) domain: String,
    pub(in crate::daemon) source: IpAddr,
    /// Its `call-id`.
    pub(in crate::daemon) token: String,
    /// When it runs out, in seconds of the epoch by FreeSWITCH's clock; `None` when it does not.
    pub(in crate::daemon) expires: Option<u64>,
}

/// `show registrations as json`. With nobody registered FreeSWITCH leaves `rows` out. `token` is the
/// `call-id` that the events tell too (`sofia_reg.c`, call of `switch_core_add_registration`).
pub(super) fn registrations(text: &str) -> Result<Vec<Registration>, String> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        rows: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        reg_user: String,
        realm: String,
        #[serde(default)]
        token: String,
        #[serde(default)]
        expires: Value,
        network_ip: String,
    }
    let answer: Answer = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let registration = |row: Row| {
        // A link-local address has its interface behind it: `fe80::1%eth0`.
        let address = row.network_ip.split('%').next().unwrap_or_default();
        let source = address.parse().ok()?;
        // 0 is what modules write whose registrations do not run out (`mod_rtmp.c`, `mod_skinny.c`).
        let expires = row.expires.as_u64().or_else(|| row.expires.as_str()?.parse().ok());
        let expires = expires.filter(|expires| *expires > 0);
        let Row { reg_user: user, realm: domain, token, .. } = row;
        Some(Registration { user, domain, source, token, expires })
    };
    Ok(answer.rows.into_iter().filter_map(registration).collect())
}

/// `sofia xmlstatus gateway`: the host of each gateway's `proxy` (`mod_sofia.c`, the `xmlstatus`
/// command), once each.
pub(super) fn gateways(text: &str) -> Result<Vec<String>, String> {
    let mut reader = Reader::from_str(text);
    // Realms and user names are written as they are configured, `&` included.
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_dangling_amp = true;
    let mut hosts: Vec<String> = Vec::new();
    let mut in_proxy = false;
    loop {
        match reader
            .read_event()
            .map_err(|e| format!("at byte {}: {e}", reader.error_position()))?
        {
            Event::Start(tag) => in_proxy = tag.name().as_ref() == "proxy",
            Event::End(_) => in_proxy = false,
            Event::Text(proxy) if in_proxy && hosts.len() < MAX_GATEWAYS => {
                hosts.extend(host_of(proxy.as_ref()).map(str::to_owned));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    hosts.sort_unstable();
    hosts.dedup();
    Ok(hosts)
}

/// The host of a SIP URI (RFC 3261 section 19.1.1): `sip:user@host:port;transport=tcp` and the
/// bare `host:port` that FreeSWITCH accepts too.
fn host_of(uri: &str) -> Option<&str> {
    let uri = uri.trim().trim_start_matches('<');
    let rest = uri.strip_prefix("sips:").or_else(|| uri.strip_prefix("sip:")).unwrap_or(uri);
    let authority = rest.split([';', '?', '>']).next()?;
    let host_port = authority.rsplit('@').next()?;
    let host = match host_port.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next()?,
        None => host_port.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests;
