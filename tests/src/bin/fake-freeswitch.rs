//! A fake FreeSWITCH under the command of its standard input, for tests that are not written in Rust.
//!
//! It prints the port of its Event Socket; the password is `ClueCon`. Each line of its input is a command:
//!
//! | command | what FreeSWITCH reports |
//! |---|---|
//! | `fail ADDRESS USER COUNT [AGENT]` | so many wrong passwords, each from another port |
//! | `fail ADDRESS:PORT USER COUNT [AGENT]` | so many wrong passwords from this port |
//! | `login ADDRESS USER` | a right one |
//! | `drop` | nothing: the connection breaks off |
//!
//! It ends with its input.

use std::io::{self, BufRead as _};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use sipward_tests::fake_freeswitch::{Attempt, FakeFreeSwitch, Outcome};

fn main() -> ExitCode {
    let fs = match FakeFreeSwitch::builder().start() {
        Ok(fs) => fs,
        Err(error) => {
            eprintln!("cannot listen: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", fs.address().port());
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        if obey(&fs, &line).is_none() {
            eprintln!("what is `{line}`?");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn obey(fs: &FakeFreeSwitch, line: &str) -> Option<()> {
    let mut words = line.splitn(5, ' ');
    match words.next()? {
        "fail" => {
            let (place, user) = (words.next()?, words.next()?);
            let (source, fixed) = match place.parse::<SocketAddr>() {
                Ok(place) => (place.ip(), Some(place.port())),
                Err(_) => (place.parse().ok()?, None),
            };
            let count: u16 = words.next()?.parse().ok()?;
            let agent = words.next().unwrap_or("Grandstream GXP1625 1.0.4.132");
            for port in (5_060..).take(count.into()) {
                let port = fixed.unwrap_or(port);
                let attempt = Attempt::new(source, port, user).user_agent(agent);
                fs.emit(&attempt, Outcome::WrongPassword);
            }
        }
        "login" => {
            let (source, user): (IpAddr, _) = (words.next()?.parse().ok()?, words.next()?);
            fs.success(source, 5_060, user);
        }
        "drop" => fs.drop_mid_frame(),
        _ => return None,
    }
    Some(())
}
