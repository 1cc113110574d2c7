use std::ffi::OsString;
use std::io::Write as _;

use super::*;

fn from(variables: &[(&str, &str)]) -> Result<Credentials, String> {
    Credentials::from_lookup(|name| {
        variables.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
    })
    .map_err(|e| e.to_string())
}

fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

fn file(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

#[test]
fn a_password_alone_means_freeswitchs_default_address() {
    let credentials = from(&[("ESL_PASSWORD", "s3cret")]).unwrap();
    assert_eq!((credentials.host.as_str(), credentials.port), ("127.0.0.1", 8021));
    assert_eq!((credentials.user, credentials.password), (None, password("s3cret")));
}

#[test]
fn the_password_file_may_end_in_a_line_end() {
    let file = file("s3cret\r\n");
    let path = file.path().to_str().unwrap();
    assert_eq!(from(&[("ESL_PASSWORD_FILE", path)]).unwrap().password, password("s3cret"));
}

#[test]
fn what_cannot_be_used_is_refused_and_the_password_is_not_told() {
    let two_lines = file("s3cret\nevent plain ALL\n");
    let empty = file("\n");
    let large = file(&"x".repeat(5000));
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_owned();
    for (variables, told) in [
        (vec![], "no Event Socket password: set ESL_PASSWORD"),
        (vec![("ESL_PASSWORD", "s3cret".to_owned()), ("ESL_PASSWORD_FILE", path(&empty))], "both"),
        (vec![("ESL_PASSWORD_FILE", path(&two_lines))], "must be one line"),
        (vec![("ESL_PASSWORD_FILE", path(&empty))], "is empty"),
        (vec![("ESL_PASSWORD_FILE", path(&large))], "has 5000 bytes"),
        (vec![("ESL_PASSWORD_FILE", "/nonexistent".to_owned())], "No such file"),
        (vec![("ESL_PASSWORD", "s3cret\n\nexit".to_owned())], "must be one line"),
        (vec![("ESL_PASSWORD", "s3cret".to_owned()), ("ESL_PORT", "70000".to_owned())], "port"),
        (vec![("ESL_PASSWORD", "s3cret".to_owned()), ("ESL_PORT", "0".to_owned())], "port"),
        (vec![("ESL_PASSWORD", "s3cret".to_owned()), ("ESL_USER", "a:b".to_owned())], "`:`"),
    ] {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let error = from(&variables).expect_err("must be refused");
        assert!(error.contains(told), "{variables:?} gave {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn debug_output_has_no_password() {
    let credentials = from(&[("ESL_PASSWORD", "s3cret")]).unwrap();
    assert!(!format!("{credentials:?}").contains("s3cret"));
}
