//! Networks as one token of a subject: `4-HHHHHHHH-LL` and `6-<32 hex digits>-LL`, all digits lower case.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The token of a network. Host bits of `net` are left out.
pub(crate) fn token(net: IpNet) -> String {
    match net.network() {
        IpAddr::V4(address) => format!("4-{:08x}-{:02x}", address.to_bits(), net.prefix_len()),
        IpAddr::V6(address) => format!("6-{:032x}-{:02x}", address.to_bits(), net.prefix_len()),
    }
}

/// The network of a token, if it is exactly what [`token`] would write: host bits are zero.
pub(crate) fn from_token(token: &str) -> Option<IpNet> {
    let (family, rest) = token.split_once('-')?;
    let (address, prefix) = rest.split_once('-')?;
    let address: IpAddr = match family {
        "4" => Ipv4Addr::from_bits(u32::try_from(hex(address, 8)?).ok()?).into(),
        "6" => Ipv6Addr::from_bits(hex(address, 32)?).into(),
        _ => return None,
    };
    let net = IpNet::new(address, u8::try_from(hex(prefix, 2)?).ok()?).ok()?;
    (net.network() == net.addr()).then_some(net)
}

/// A number of exactly so many lower case digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (text.len() == digits && text.bytes().all(plain))
        .then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_network_has_one_token() {
        for (net, written) in [
            ("203.0.113.7/32", "4-cb007107-20"),
            ("0.0.0.0/0", "4-00000000-00"),
            ("2001:db8::/64", "6-20010db8000000000000000000000000-40"),
        ] {
            let net: IpNet = net.parse().unwrap();
            assert_eq!(token(net), written);
            assert_eq!(from_token(written), Some(net));
        }
    }

    #[test]
    fn what_is_not_written_so_is_no_network() {
        for bad in [
            "",
            "4",
            "4-cb007107",
            "4-cb007107-21",
            "4-CB007107-20",
            "4-cb007107-18",
            "4-+b007107-20",
            "4-cb007107-020",
            "4-cb007107-20-",
            "5-cb007107-20",
            "6-cb007107-20",
            "6-20010db8000000000000000000000001-40",
            "6-20010db8000000000000000000000000-81",
            "é-cb007107-20",
        ] {
            assert_eq!(from_token(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_network_comes_back(bits: u128, prefix in 0u8..=128, four: bool) {
            #[expect(clippy::cast_possible_truncation, reason = "any address will do")]
            let address: IpAddr =
                if four { (bits as u32).to_be_bytes().into() } else { bits.to_be_bytes().into() };
            let net = IpNet::new(address, if four { prefix.min(32) } else { prefix }).unwrap().trunc();
            prop_assert_eq!(from_token(&token(net)), Some(net));
        }

        #[test]
        fn no_two_tokens_are_one_network(text in "[46]-[0-9a-f]{8}([0-9a-f]{24})?-[0-9a-f]{2}") {
            if let Some(net) = from_token(&text) {
                prop_assert_eq!(token(net), text);
            }
        }
    }
}
