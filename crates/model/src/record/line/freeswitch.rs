//! What FreeSWITCH says of itself, as lines for people.

use std::fmt;

use crate::record::Record;
use crate::text::{Plain, count};

pub(super) fn line(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::Registrations { phones, problem } => {
            let are = if *phones == 1 { "is" } else { "are" };
            write!(f, "{} {are} registered", count(*phones as u64, "phone"))?;
            problem
                .as_ref()
                .map_or(Ok(()), |problem| write!(f, ", and more may be: {}", Plain(problem)))
        }
        Record::GatewayUnprotected { gateway, error } => write!(
            f,
            "gateway {} is not protected ({}): add the addresses of its carrier to `allow`",
            Plain(gateway),
            Plain(error)
        ),
        Record::GatewayProtected { gateway } => {
            write!(f, "gateway {} is protected", Plain(gateway))
        }
        Record::AccessListUnused { list, error } => write!(
            f,
            "access list {} is not used: {}; correct it in acl.conf.xml and `reloadacl`, or remove \
             it from `allow_acl`",
            Plain(list),
            Plain(error)
        ),
        Record::AccessListUsed { list } => write!(f, "access list {} is used", Plain(list)),
        Record::SipPorts { ports, profiles } => {
            f.write_str("SIP ports:")?;
            ports.iter().try_for_each(|port| write!(f, " {port}"))?;
            f.write_str(", of the profiles")?;
            profiles.iter().try_for_each(|profile| write!(f, " {}", Plain(profile)))
        }
        Record::EventsNotAllowed { names } => {
            f.write_str("the Event Socket user may not receive the events")?;
            names.iter().try_for_each(|name| write!(f, " {}", Plain(name)))?;
            f.write_str(": add them to esl-allowed-events in the directory")
        }
        other => write!(f, "{:?}", other.kind()),
    }
}
