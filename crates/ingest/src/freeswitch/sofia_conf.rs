//! `xml_locate configuration configuration name sofia.conf`: the configuration as FreeSWITCH has it, also where
//! it comes from a database.
//!
//! It holds the passwords of all gateways. Of its attributes only the ones listed in `Wanted` are looked at, and
//! no error quotes any of it.

use std::time::Duration;

use super::uri::Target;
use super::xml::{Step, attribute, attribute_is, is_true, walk};

/// The question.
pub const QUESTION: &str = "xml_locate configuration configuration name sofia.conf";

/// Profiles and gateways kept at most.
const MAX_PROFILES: usize = 64;
const MAX_GATEWAYS: usize = super::gateways::MAX_GATEWAYS;

/// Bytes of a name or of a proxy.
const MAX_VALUE: usize = super::MAX_TEXT;

/// Longest `nonce-ttl`: a week, longer than any real setting.
const MAX_NONCE_TTL: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What is read of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SofiaConf {
    /// The profiles, at most 64.
    pub profiles: Vec<ProfileConf>,
    /// The gateways that name more than their proxy.
    pub gateways: Vec<GatewayConf>,
    /// Profiles and gateways that found no room.
    pub left_out: usize,
}

/// What is read of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileConf {
    /// Its name.
    pub name: String,
    /// `nonce-ttl`: how long a nonce is valid, at most a week; `None` where the profile does not say.
    pub nonce_ttl: Option<Duration>,
    /// `log-auth-failures`.
    pub logs: bool,
    /// `outbound-proxy` of the profile itself.
    pub outbound_proxy: Option<Target>,
}

/// What is read of a gateway: its name, and where its packets go beside its proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayConf {
    /// Its name.
    pub name: String,
    /// `register-proxy` and `outbound-proxy`, as far as they can be read.
    pub proxies: Vec<Target>,
    /// Whether one of them could not be read.
    pub unreadable: bool,
}

/// The parameters whose values are used.
enum Wanted {
    NonceTtl,
    LogAuthFailures,
    RegisterProxy,
    OutboundProxy,
}

/// Reads the answer.
///
/// # Errors
/// When it is not such a configuration. The error quotes nothing.
pub fn read(text: &str) -> Result<SofiaConf, String> {
    let mut conf = SofiaConf::default();
    let mut any = false;
    let mut profile: Option<ProfileConf> = None;
    let mut gateway: Option<GatewayConf> = None;
    walk(text, |step| match step {
        Step::Open(tag) => match tag.name().as_ref() {
            "profile" => {
                any = true;
                let name = attribute(tag, "name", MAX_VALUE).unwrap_or_default();
                profile = Some(ProfileConf { name, ..ProfileConf::default() });
            }
            "gateway" => {
                let name = attribute(tag, "name", MAX_VALUE).unwrap_or_default();
                gateway = Some(GatewayConf { name, ..GatewayConf::default() });
            }
            "param" => {
                // The value of any other parameter, a password among them, is not even copied.
                let Some(wanted) = Wanted::of(tag) else { return };
                let value = attribute(tag, "value", MAX_VALUE);
                match (&mut gateway, &mut profile) {
                    (Some(gateway), _) => gateway.take(&wanted, value.as_deref()),
                    (None, Some(profile)) => profile.take(&wanted, value.as_deref()),
                    (None, None) => {}
                }
            }
            _ => {}
        },
        Step::Close("gateway") => {
            if let Some(gateway) = gateway.take().filter(GatewayConf::says_something) {
                if conf.gateways.len() < MAX_GATEWAYS {
                    conf.gateways.push(gateway);
                } else {
                    conf.left_out += 1;
                }
            }
        }
        Step::Close("profile") => {
            if let Some(profile) = profile.take() {
                if conf.profiles.len() < MAX_PROFILES {
                    conf.profiles.push(profile);
                } else {
                    conf.left_out += 1;
                }
            }
        }
        Step::Text(_) | Step::Close(_) => {}
    })?;
    if any { Ok(conf) } else { Err("FreeSWITCH showed no profile".to_owned()) }
}

impl Wanted {
    fn of(param: &quick_xml::events::BytesStart<'_>) -> Option<Self> {
        [
            ("nonce-ttl", Self::NonceTtl),
            ("log-auth-failures", Self::LogAuthFailures),
            ("register-proxy", Self::RegisterProxy),
            ("outbound-proxy", Self::OutboundProxy),
        ]
        .into_iter()
        .find_map(|(name, wanted)| attribute_is(param, "name", name).then_some(wanted))
    }
}

impl ProfileConf {
    fn take(&mut self, wanted: &Wanted, value: Option<&str>) {
        let Some(value) = value else { return };
        match wanted {
            Wanted::NonceTtl => {
                let seconds = value.trim().parse().ok().map(Duration::from_secs);
                self.nonce_ttl = seconds.map(|ttl| ttl.min(MAX_NONCE_TTL));
            }
            Wanted::LogAuthFailures => self.logs = is_true(value),
            Wanted::OutboundProxy => self.outbound_proxy = Target::read(value),
            Wanted::RegisterProxy => {}
        }
    }
}

impl GatewayConf {
    fn take(&mut self, wanted: &Wanted, value: Option<&str>) {
        if !matches!(wanted, Wanted::RegisterProxy | Wanted::OutboundProxy) {
            return;
        }
        if value.is_some_and(|value| value.trim().is_empty()) {
            return;
        }
        match value.and_then(Target::read) {
            Some(target) if self.proxies.len() < 8 => self.proxies.push(target),
            Some(_) | None => self.unreadable = true,
        }
    }

    fn says_something(&self) -> bool {
        self.unreadable || !self.proxies.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::freeswitch::registrations::tests::recorded;
    use crate::freeswitch::uri::Host;

    #[test]
    fn the_recorded_configuration_gives_proxies_and_times_and_no_password() {
        let text = recorded("2-xml_locate-sofia.conf");
        assert!(text.contains("s3cret-1001"), "the recording holds passwords");
        let conf = read(&text).unwrap();
        let hosts = |name: &str| -> Vec<Host> {
            let gateway = conf.gateways.iter().find(|gateway| gateway.name == name).unwrap();
            gateway.proxies.iter().map(|target| target.host.clone()).collect()
        };
        assert_eq!(hosts("trunk-outbound"), [Host::Address("10.66.6.30".parse().unwrap())]);
        assert_eq!(
            hosts("trunk-regproxy"),
            [
                Host::Address("10.66.0.6".parse().unwrap()),
                Host::Name("edge.carrier.test".to_owned())
            ]
        );
        assert_eq!(conf.gateways.len(), 2, "the others have no proxy but their own");
        let profiles: Vec<_> =
            conf.profiles.iter().map(|p| (p.name.as_str(), p.nonce_ttl, p.logs)).collect();
        let minute = Some(Duration::from_secs(60));
        assert_eq!(
            profiles,
            [
                ("external", minute, false),
                ("internal-ipv6", minute, false),
                ("internal", minute, false),
                ("nomatch", minute, false)
            ]
        );
        let all = format!("{conf:?}");
        for secret in ["s3cret", "not-the-password", "\"na\""] {
            assert!(!all.contains(secret), "{secret}: {all}");
        }
    }

    #[test]
    fn what_is_no_configuration_is_an_error_that_quotes_nothing() {
        for text in
            ["", "-ERR s3cret\n", "<configuration></configuration>", "<profile name=\"x\"><!s3cret"]
        {
            let error = read(text).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn odd_values_are_bounded_or_told() {
        let long = "x".repeat(MAX_VALUE + 1);
        let text = format!(
            "<profiles><profile name=\"a&amp;b\"><gateways><gateway name=\"g\">\
             <param name=\"outbound-proxy\" value=\"{long}\"/></gateway><gateway name=\"h\">\
             <param name=\"register-proxy\" value=\"\"/></gateway></gateways><settings>\
             <param name=\"nonce-ttl\" value=\"99999999999\"/><param name=\"log-auth-failures\" value=\"on\"/>\
             </settings></profile></profiles>"
        );
        let conf = read(&text).unwrap();
        assert_eq!(conf.profiles[0].name, "a&b");
        assert_eq!(conf.profiles[0].nonce_ttl, Some(MAX_NONCE_TTL));
        assert!(conf.profiles[0].logs);
        assert_eq!(conf.gateways.len(), 1);
        assert!(conf.gateways[0].unreadable);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|profile|param|gateway| name=\"[a-z&;-]{0,9}\"|nonce-ttl|value|\"|=|\\PC){0,40}") {
            let _ = read(&text);
        }
    }
}
