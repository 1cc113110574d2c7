//! The `sipward` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sipward::cli::main()
}
