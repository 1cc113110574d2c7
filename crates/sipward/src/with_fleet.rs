//! The second program of a package: this one, built with the feature `fleet`. The plain program starts it where the
//! fleet is asked for, so a host without `[fleet]` never loads the fleet's code.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::{env, io};

/// In the directory in whose `bin` this program is: `/usr/lib/sipward/with-fleet/sipward`, for `/usr/bin/sipward`.
const PROGRAM: &str = "lib/sipward/with-fleet/sipward";

/// Replaces this process by the program with the fleet: same process ID, arguments and environment. Returns only if
/// that fails, with the reason.
pub(crate) fn exec() -> anyhow::Error {
    let program = match path() {
        Ok(program) => program,
        Err(error) => return anyhow::Error::new(error).context("cannot find this program's file"),
    };
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| "sipward".into());
    let error = Command::new(&program).arg0(name).args(arguments).exec();
    anyhow::Error::new(error).context(format!(
        "this program was built without the feature `fleet`, and {} cannot be started: use a package, which has both \
         programs, or build with `cargo build --release --features fleet`",
        program.display()
    ))
}

fn path() -> io::Result<PathBuf> {
    let mut path = env::current_exe()?;
    path.pop();
    path.pop();
    path.push(PROGRAM);
    Ok(path)
}
