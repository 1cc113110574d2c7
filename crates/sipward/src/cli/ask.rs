//! Questions to the operator.

use std::io::{self, Write as _};

/// How the answers to a question are shown, the default in capitals.
pub(super) const fn choice(default: bool) -> &'static str {
    if default { "[Y/n]" } else { "[y/N]" }
}

/// Asks on standard output and reads the answer; an empty line is the default. `None` where the input has ended.
pub(super) fn ask(question: &str, default: bool) -> io::Result<Option<bool>> {
    print!("{question} {} ", choice(default));
    io::stdout().flush()?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        return Ok(None);
    }
    Ok(Some(match answer.trim() {
        "" => default,
        word => matches!(word, "y" | "Y" | "yes" | "Yes"),
    }))
}
