//! `sofia xmlstatus gateway`: the gateways of all profiles (`mod_sofia.c`, `sofia xmlstatus`).

use super::uri::Target;
use super::xml::{Step, walk};
use super::{MAX_TEXT, beginning};

/// Gateways that are looked at, at most: each may cost a few questions to a name server.
pub const MAX_GATEWAYS: usize = 1_024;

/// One gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// Its profile.
    pub profile: String,
    /// `<proxy>`, the only field with a host; `None` when it cannot be read.
    pub proxy: Option<Target>,
}

/// All gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateways {
    /// The first [`MAX_GATEWAYS`] of them.
    pub list: Vec<Gateway>,
    /// How many more there are.
    pub left_out: usize,
}

/// Reads the answer.
///
/// # Errors
/// When it is not a list of gateways.
pub fn read(text: &str) -> Result<Gateways, String> {
    let mut found = Gateways::default();
    let mut any = false;
    let mut gateway: Option<Gateway> = None;
    let mut field = Field::None;
    let mut value = String::new();
    let walked = walk(text, |step| match step {
        Step::Open(tag) => {
            value.clear();
            match tag.name().as_ref() {
                "gateways" => any = true,
                "gateway" => {
                    gateway =
                        Some(Gateway { name: String::new(), profile: String::new(), proxy: None });
                }
                "name" => field = Field::Name,
                "profile" => field = Field::Profile,
                "proxy" => field = Field::Proxy,
                _ => field = Field::None,
            }
        }
        Step::Text(piece) => {
            if field != Field::None && value.len() + piece.len() <= MAX_TEXT {
                value.push_str(piece);
            }
        }
        Step::Close("gateway") => match gateway.take() {
            Some(gateway) if found.list.len() < MAX_GATEWAYS => found.list.push(gateway),
            Some(_) => found.left_out += 1,
            None => {}
        },
        Step::Close(_) => {
            if let Some(gateway) = &mut gateway {
                match field {
                    Field::Name => value.trim().clone_into(&mut gateway.name),
                    Field::Profile => value.trim().clone_into(&mut gateway.profile),
                    Field::Proxy => gateway.proxy = Target::read(&value),
                    Field::None => {}
                }
            }
            field = Field::None;
        }
    });
    walked?;
    if !any {
        return Err(format!("no list of gateways: {}", beginning(text)));
    }
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    None,
    Name,
    Profile,
    Proxy,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freeswitch::uri::Host;

    fn proxies(xml: &str) -> Vec<(String, Option<Host>)> {
        let list = read(xml).unwrap().list;
        list.into_iter().map(|gateway| (gateway.name, gateway.proxy.map(|uri| uri.host))).collect()
    }

    #[test]
    fn gateways_are_read_with_the_hosts_of_their_proxies() {
        let xml = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<gateways>\n  <gateway>\n    \
                   <name>a</name>\n    <realm>one.example</realm>\n    \
                   <proxy>sip:192.0.2.5:5080;transport=tcp</proxy>\n  </gateway>\n  <gateway>\n    \
                   <name>b&c</name><proxy>sip:trunk.example.org</proxy>\n  </gateway>\n  \
                   <gateway>\n    <proxy>sip:[2001:db8::5]:5060</proxy>\n  </gateway>\n  \
                   <gateway><name>odd</name><proxy>sip:</proxy></gateway>\n</gateways>\n";
        assert_eq!(
            proxies(xml),
            [
                ("a".into(), Some(Host::Address("192.0.2.5".parse().unwrap()))),
                ("b&c".into(), Some(Host::Name("trunk.example.org".into()))),
                (String::new(), Some(Host::Address("2001:db8::5".parse().unwrap()))),
                ("odd".into(), None),
            ]
        );
        assert_eq!(proxies("<gateways>\n</gateways>\n"), []);
    }

    #[test]
    fn the_recorded_gateways_are_all_there() {
        let text = crate::freeswitch::registrations::tests::recorded("2-sofia-xmlstatus-gateway");
        let found = proxies(&text);
        let name = |name: &str| Some(Host::Name(name.to_owned()));
        let six = Some(Host::Address("10.66.0.6".parse().unwrap()));
        let expected = [
            ("trunk-noname", name("sip.nowhere.test")),
            ("trunk-badpw", six.clone()),
            ("trunk-regproxy", name("pbx.test")),
            ("trunk-outbound", name("sip.carrier.test")),
            ("trunk-reg", name("sip.carrier.test")),
            ("trunk-name", name("sip.carrier.test")),
            ("trunk-ip", six),
        ];
        assert_eq!(found, expected.map(|(name, host)| (name.to_owned(), host)));
    }

    #[test]
    fn what_is_no_list_is_an_error_and_too_long_a_list_says_so() {
        for text in ["", "+OK\n", "-ERR no reply\n", "<profiles/>", "<gateways><!"] {
            assert!(read(text).is_err(), "{text}");
        }
        let gateway = "<gateway><name>x</name><proxy>sip:192.0.2.1</proxy></gateway>";
        let many = format!("<gateways>{}</gateways>", gateway.repeat(MAX_GATEWAYS + 3));
        let found = read(&many).unwrap();
        assert_eq!((found.list.len(), found.left_out), (MAX_GATEWAYS, 3));
    }
}
