//! Everything that is wrong with a configuration file: what is wrong is taken out, and the rest is looked at again.

use super::{Config, ConfigError, Layers};

/// Most errors that are reported; a file with more is not a configuration.
const MOST: usize = 50;

/// Lines that one value may have.
const LONGEST_VALUE: usize = 20_000;

/// The errors of all files, in the order of their finding, and what is left without them.
pub(super) fn all(mut layers: Layers) -> (Option<Config>, Vec<ConfigError>) {
    let mut errors: Vec<ConfigError> = Vec::new();
    while errors.len() < MOST {
        let error = match layers.config() {
            Ok(config) => {
                errors.sort_by_key(|error| {
                    let line = error.place().map_or(0, |place| place.line);
                    (layers.0.iter().position(|layer| layer.path == error.path()), line)
                });
                return (Some(config), errors);
            }
            Err(error) => error,
        };
        let line = error.place().map(|place| place.line);
        let layer = layers.0.iter_mut().find(|layer| layer.path == error.path());
        errors.push(error);
        // Without a place, or where nothing is left to take out, there is nothing behind it to be found.
        let taken = layer.zip(line).is_some_and(|(layer, line)| take_out_of(&mut layer.text, line));
        if !taken {
            break;
        }
    }
    (None, errors)
}

fn take_out_of(text: &mut String, line: usize) -> bool {
    let mut lines: Vec<&str> = text.lines().collect();
    let taken = take_out(&mut lines, line);
    *text = lines.join("\n");
    taken
}

/// Empties the statement, or the table, that holds this line (from 1). False when there is none.
fn take_out(lines: &mut [&str], line: usize) -> bool {
    let Some(at) = line.checked_sub(1).filter(|at| *at < lines.len()) else { return false };
    let Some(start) = (0..=at).rev().find(|at| lines.get(*at).is_some_and(|line| begins(line)))
    else {
        return false;
    };
    let is_table = lines.get(start).is_some_and(|line| is_header(line));
    let end = if is_table {
        (start + 1..lines.len()).find(|at| lines.get(*at).is_some_and(|line| is_header(line)))
    } else {
        // A value may have several lines: the statement ends where it can be read by itself.
        let most = lines.len().min(start + LONGEST_VALUE);
        let whole = |end: &usize| {
            let statement = lines.get(start..*end).unwrap_or_default().join("\n");
            toml::from_str::<toml::Table>(&statement).is_ok()
        };
        (at + 1..=most).find(whole).or(Some(at + 1))
    };
    let end = end.unwrap_or(lines.len());
    let taken = lines.get_mut(start..end).unwrap_or_default();
    let any = taken.iter().any(|line| !line.trim().is_empty());
    taken.fill("");
    any
}

fn begins(line: &str) -> bool {
    let line = line.trim_start();
    let key = |c: char| c.is_ascii_alphanumeric() || "_-.\"' ".contains(c);
    let is_statement =
        line.split_once('=').is_some_and(|(name, _)| !name.is_empty() && name.chars().all(key));
    is_header(line) || is_statement
}

fn is_header(line: &str) -> bool {
    let line = line.trim();
    // Not an array in an array.
    line.starts_with('[')
        && line.trim_end_matches(|c: char| c != ']').ends_with(']')
        && !line.ends_with(',')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn messages(source: &str) -> Vec<String> {
        let (_, errors) = all(Layers::single(source, Path::new("x.toml")));
        errors.iter().map(|error| error.to_string().lines().next().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_error_is_told_with_its_place() {
        let source = "alow = [\n  \"192.0.2.1\",\n]\nmode = \"bann\"\ndns_refresh = \"1s\"\n[policy]\n\
                      max_failures = 0\nwindow = \"x\"\n[nosuch]\na = 1\nb = 2\n[esl]\nqueue = 1\n\
                      retry_near = \"1ms\"\nretry_far = \"2h\"\n[log]\nlevel = \"info\"\n";
        let found = messages(source);
        let expected = [
            (1, "unknown key `alow`; did you mean `allow`?"),
            (4, "bann"),
            (5, "dns_refresh"),
            (7, "policy.max_failures"),
            (8, "not a time span"),
            (9, "unknown key `nosuch`"),
            (13, "esl.queue"),
            (14, "esl.retry_near"),
            (15, "esl.retry_far"),
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for ((line, words), found) in expected.iter().zip(&found) {
            assert!(
                found.starts_with(&format!("x.toml:{line}:")) && found.contains(words),
                "{found}"
            );
        }
    }

    #[test]
    fn a_good_file_has_none_and_what_is_no_toml_has_an_end() {
        assert!(messages("mode = \"observe\"\n").is_empty());
        for source in ["[[[[", "= 1", "a = [", "x = \"\n", "\u{0}"] {
            let found = messages(source);
            assert!((1..=MOST).contains(&found.len()), "{source}: {found:?}");
        }
        let many = (0..200).map(|n| format!("k{n} = 1")).collect::<Vec<_>>().join("\n");
        assert_eq!(messages(&many).len(), MOST);
    }

    #[test]
    fn what_is_left_is_a_configuration() {
        let layers = Layers::single("mode = \"observe\"\nx = 1\n", Path::new("x.toml"));
        let (config, errors) = all(layers);
        assert_eq!(errors.len(), 1);
        assert_eq!(config.unwrap().mode, crate::Mode::Observe);
    }
}
