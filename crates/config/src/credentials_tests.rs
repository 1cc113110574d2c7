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

#[test]
fn a_host_that_cannot_connect_is_refused_with_the_form_that_can() {
    let host = |host: &str| {
        from(&[("ESL_PASSWORD", "s3cret"), ("ESL_HOST", host)]).map(|credentials| credentials.host)
    };
    for (written, taken) in [
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("[fe80::1%eth0]", "fe80::1%eth0"),
        ("pbx", "pbx"),
        ("pbx.example.org.", "pbx.example.org."),
        ("192.0.2.1", "192.0.2.1"),
    ] {
        assert_eq!(host(written).as_deref(), Ok(taken), "{written}");
    }
    for (written, right) in [
        ("127.0.0.1:8021", "write ESL_HOST=127.0.0.1 and ESL_PORT=8021"),
        ("tcp://127.0.0.1", "write ESL_HOST=127.0.0.1"),
        ("tcp://user@pbx:8021/x", "write ESL_HOST=pbx and ESL_PORT=8021"),
        ("[::1]:8021", "write ESL_HOST=::1 and ESL_PORT=8021"),
        (" 127.0.0.1", "write ESL_HOST=127.0.0.1"),
        ("\"pbx\"", "write ESL_HOST=pbx"),
        ("pbx:80x", "expected a host name"),
        ("127.0.0", "expected a host name"),
        ("a b", "expected a host name"),
        ("/run/fs.sock", "expected a host name"),
        ("x\ny", "expected a host name"),
    ] {
        let error = host(written).expect_err(written);
        assert!(error.contains(right), "{written}: {error}");
        assert!(error.starts_with("ESL_HOST: "), "{error}");
    }
}

#[test]
fn everything_that_is_wrong_is_told() {
    let variables = [("ESL_HOST", "a b"), ("ESL_PORT", "x"), ("ESL_USER", "a:b")];
    let lookup = |name: &str| {
        variables.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
    };
    let errors = Credentials::all_from_lookup(lookup).unwrap_err();
    assert_eq!(errors.len(), 4, "{errors:?}");
}
