//! `sipward record`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use sipward_config::Credentials;
use sipward_daemon::stop_on_signals;
use sipward_model::text::{Plain, Span};
use sipward_replay::recorder::pieces::Pieces;
use sipward_replay::recorder::{News, RecordError, Totals, record};

/// How often the counter on a terminal moves.
const SHOW_EVERY: Duration = Duration::from_millis(500);

/// Record what FreeSWITCH sends on its Event Socket, for `replay`.
///
/// Records events and, if the user is allowed to, warnings of the log, exactly as they arrive. Needs the same
/// credentials in the environment as `run`, and can run at the same time. Ends at Ctrl-C or SIGTERM. The files
/// contain user names and addresses: their mode is 0600.
#[derive(Debug, clap::Args)]
pub(super) struct Record {
    /// The file. Full files are renamed to FILE.1, FILE.2 and so on; existing files are never overwritten.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Size at which a file is full, 1MiB to 1TiB.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    max_size: u64,
    /// Number of full files to keep, the newest.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(..=999))]
    keep: u32,
    /// Stop after this time: 90s, 10m, 1h, 7d.
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    length: Option<Duration>,
}

pub(super) fn run(args: &Record) -> anyhow::Result<()> {
    let credentials = Credentials::from_env()?;
    let pieces = Pieces::create(&args.file, args.max_size, args.keep)?;
    let length = args.length;
    let begun = Instant::now();
    let recorded = super::on_runtime(async move {
        let stop = CancellationToken::new();
        stop_on_signals(stop.clone())?;
        if let Some(length) = length {
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::time::sleep(length).await;
                stop.cancel();
            });
        }
        let mut screen = Screen::new();
        let recorded = record(&credentials, pieces, stop, |news| screen.show(&news)).await;
        screen.bar.finish_and_clear();
        Ok(recorded)
    })?;
    if let Err(RecordError::Client(_)) = &recorded {
        // It never began: an empty file would be in the way of the next try.
        let _ = std::fs::remove_file(&args.file);
    }
    let Totals { frames, bytes, dropped, reconnects, pieces } = recorded?;
    let length = Span::from(Duration::from_secs(begun.elapsed().as_secs()));
    println!(
        "recorded {frames} frames ({}) in {length} into {} (files: {pieces}, reconnects: {reconnects})",
        BinaryBytes(bytes),
        args.file.display()
    );
    if dropped > 0 {
        println!(
            "NOT recorded: {dropped} frames, because the disk was too slow or they were too long"
        );
    }
    Ok(())
}

/// What is shown meanwhile, on standard error.
struct Screen {
    bar: ProgressBar,
    shown: Instant,
}

impl Screen {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self { bar, shown: Instant::now() }
    }

    fn show(&mut self, news: &News<'_>) {
        match news {
            News::Connected => self.say("connected, recording"),
            News::Lost(error) => self.say(&format!("connection lost, reconnecting: {error}")),
            News::NoLog(reply) => {
                self.say(&format!("no log lines, only events: {}", Plain(reply)));
            }
            News::Saved(totals) if self.shown.elapsed() >= SHOW_EVERY => {
                self.shown = Instant::now();
                let Totals { frames, bytes, dropped, .. } = totals;
                let bytes = BinaryBytes(*bytes);
                self.bar.set_message(format!("{frames} frames, {bytes}, {dropped} dropped"));
                self.bar.tick();
            }
            News::Saved(_) => {}
        }
    }

    /// A line that stays, on a terminal or not.
    fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("sipward: {line}"));
    }
}

/// `64MiB`, `1G`, `500k`: always powers of 1,024, whichever way it is written.
fn size(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("`{}` is not a size between 1MiB and 1TiB; write 64MiB or 2GiB", Plain(text));
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let size = number.checked_mul(1 << shift).ok_or_else(wrong)?;
    (1 << 20..=1 << 40).contains(&size).then_some(size).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("1048576", 1 << 20),
            ("2 GiB", 2 << 30),
            ("2g", 2 << 30),
            ("1TB", 1 << 40),
            ("2048k", 2 << 20),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1", "1KiB", "2TiB", "-1M", "1.5G", "99999999999999999999G", "1µ"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
