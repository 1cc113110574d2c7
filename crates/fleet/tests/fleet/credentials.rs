//! Credentials files: JWTs that an account signs, which end and are renewed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nkeys::KeyPair;
use serde_json::{Value, json};
use sipward_fleet::{Settings, State};

use crate::node::{Node, ms_from_now, settings};
use crate::servers::Server;

/// A signed statement of `issuer` about `subject`.
fn jwt(issuer: &KeyPair, subject: &str, exp: Option<u64>, nats: &Value) -> String {
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let mut claims = json!({"jti": "x", "iat": 1, "iss": issuer.public_key(), "sub": subject, "name": "x", "nats": nats});
    if let Some(exp) = exp {
        claims["exp"] = exp.into();
    }
    let signed = format!(
        "{}.{}",
        base64url(header.to_string().as_bytes()),
        base64url(claims.to_string().as_bytes())
    );
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", base64url(&signature))
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(group >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

/// An account that issues credentials, and a server that trusts it.
struct Issuer {
    account: KeyPair,
    server: Server,
}

impl Issuer {
    fn new() -> Self {
        let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
        let trusted = jwt(
            &operator,
            &operator.public_key(),
            None,
            &json!({"type": "operator", "version": 2}),
        );
        let limits = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
            "wildcards": true, "conn": -1, "leaf": -1});
        let nats = json!({"type": "account", "version": 2, "limits": limits});
        let known = jwt(&operator, &account.public_key(), None, &nats);
        let configuration = format!(
            "listen: \"127.0.0.1:PORT\"\noperator: \"{trusted}\"\nresolver: MEMORY\n\
             resolver_preload: {{ {}: \"{known}\" }}",
            account.public_key()
        );
        Self { account, server: Server::start(&configuration) }
    }

    /// A credentials file that ends after some time.
    fn issue(account: &KeyPair, path: &Path, lasts: Duration) {
        let user = KeyPair::new_user();
        let nats = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let jwt = jwt(account, &user.public_key(), Some(ms_from_now(lasts) / 1000), &nats);
        let seed = user.seed().unwrap();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        fs::write(path, text).unwrap();
    }
}

fn down(state: &State, words: &str) -> bool {
    matches!(state, State::Down { why } if why.contains(words))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_ends_says_so_and_a_renewed_one_is_taken() {
    let issuer = Issuer::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n1.creds");
    let settings = Settings {
        credentials: Some(path.clone()),
        ..settings(&[issuer.server.url()], "berlin.n1")
    };
    let node = Node::start(settings, vec![]);
    node.until("the missing file is named", |s| down(&s.state, "n1.creds")).await;
    fs::write(&path, "rubbish").unwrap();
    node.until("the file is none", |s| down(&s.state, "JWT")).await;
    // Of an account that the server does not know.
    Issuer::issue(&KeyPair::new_account(), &path, Duration::from_secs(60));
    node.until("it is refused", |s| down(&s.state, "refuses this node's credential")).await;
    Issuer::issue(&issuer.account, &path, Duration::from_secs(3));
    node.until_connected().await;
    node.until("it has ended", |s| down(&s.state, "has expired; issue a new one")).await;
    Issuer::issue(&issuer.account, &path, Duration::from_secs(60));
    node.until_connected().await;
}
