//! `sipward` under another name: a binary of this package, so that a test run always builds it afresh.

use std::process::ExitCode;

fn main() -> ExitCode {
    sipward::cli::main()
}
