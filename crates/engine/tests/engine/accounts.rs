//! Which account logged in, and at how many addresses that makes it known.

use sipward_engine::*;

use crate::world::*;

/// An account with a digest of this realm, and a To address of this domain.
#[derive(Clone, Copy)]
struct Sent<'a> {
    user: &'a str,
    domain: &'a str,
    realm: Option<&'a str>,
}

impl World {
    /// Registers from a new address.
    fn comes(&mut self, n: u32, sent: Sent<'_>) {
        let source = format!("198.51.{n}.7").parse().unwrap();
        let Sent { user, domain, realm } = sent;
        self.handle(Input::Challenge(Challenge { user, ..a_challenge(source) }));
        let attempt = an_attempt(source, self.next());
        self.handle(Input::AuthAttempt(AuthAttempt {
            user,
            domain,
            realm,
            username: Some(user),
            result: AuthResult::Success,
            ..attempt
        }));
        let registered = a_registration(source);
        let username = Some(user);
        self.handle(Input::Registered(Registered { user, domain, realm, username, ..registered }));
        self.pass(SECOND);
    }

    /// Of these addresses, how many are known.
    fn known(&self, addresses: std::ops::Range<u32>) -> usize {
        let stranger = |n: &u32| self.identity(&format!("198.51.{n}.7")) == Identity::Stranger;
        addresses.filter(|n| !stranger(n)).count()
    }
}

/// Where FreeSWITCH has no domain of its own, the sender may write any into To; where it has one, any into the digest.
#[test]
fn a_domain_that_the_sender_chooses_makes_no_other_account() {
    let chosen: Vec<String> = (0..60).map(|n| format!("d{n}.example")).collect();
    for of_to in [true, false] {
        let mut world = World::new(Policy::default());
        world.pass(3 * MINUTE);
        for (n, other) in (0..).zip(&chosen) {
            let (domain, realm) =
                if of_to { (&**other, "pbx.test") } else { ("pbx.test", &**other) };
            world.comes(n, Sent { user: "1000", domain, realm: Some(realm) });
        }
        assert_eq!(world.known(0..60), 5);
        // Nor does a list of registrations, which has the To address.
        let rows = (0..).zip(&chosen).map(|(n, other)| Registered {
            source: format!("198.51.{n}.7").parse().unwrap(),
            domain: if of_to { other } else { "pbx.test" },
            realm: None,
            username: None,
            ..a_registration([198, 51, 100, 7].into())
        });
        let (phones, asked) = (rows.collect(), world.now);
        world.handle(Input::Registrations { phones, asked, first: false });
        assert_eq!(world.known(0..60), 5);
    }
}

#[test]
fn an_account_without_a_realm_is_its_user() {
    let mut world = World::new(Policy::default());
    world.pass(3 * MINUTE);
    for (n, domain) in (0..).zip(["a.example", "b.example", "c.example", "d.example"].repeat(3)) {
        world.comes(n, Sent { user: "1000", domain, realm: None });
    }
    assert_eq!(world.known(0..12), 5);
}

#[test]
fn users_of_the_same_name_in_two_domains_are_two_accounts_and_other_letters_none() {
    let mut world = World::new(Policy::default());
    world.pass(3 * MINUTE);
    for (from, domain) in [(0, "a.example"), (20, "b.example"), (40, "B.Example")] {
        for n in from..from + 8 {
            let user = if n % 2 == 0 { "alice" } else { "Alice" };
            world.comes(n, Sent { user, domain, realm: Some(domain) });
        }
    }
    assert_eq!([0..8, 20..28, 40..48].map(|range| world.known(range)), [5, 5, 0]);
}
