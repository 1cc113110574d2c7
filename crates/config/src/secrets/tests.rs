use std::io::Write as _;

use super::*;

fn from(variables: &[(&str, &str)]) -> Result<Secrets, String> {
    Secrets::from_lookup(|name| {
        variables.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
    })
    .map_err(|error| error.to_string())
}

#[test]
fn secrets_come_from_variables_or_files_or_not_at_all() {
    assert_eq!(from(&[]), Ok(Secrets::default()));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"k3y\n").unwrap();
    let path = file.path().to_str().unwrap();
    let login = Login { user: "pbx".to_owned(), password: Secret::new("s3cret") };
    assert_eq!(
        from(&[("SMTP_USER", "pbx"), ("SMTP_PASSWORD", "s3cret"), ("WEBHOOK_SECRET_FILE", path)]),
        Ok(Secrets { smtp: Some(login), webhook: Some(Secret::new("k3y")), ..Secrets::default() })
    );
    let fleet =
        from(&[("SIPWARD_FLEET_KEY_FILE", path), ("SIPWARD_FLEET_CREDENTIALS", "/n.creds")]);
    assert_eq!(
        fleet,
        Ok(Secrets {
            fleet_key: Some(Secret::new("k3y")),
            fleet_credentials: Some("/n.creds".into()),
            ..Secrets::default()
        })
    );
}

#[test]
fn what_cannot_be_used_is_refused_and_no_secret_is_told() {
    for (variables, told) in [
        (vec![("SMTP_USER", "pbx")], "SMTP_USER: is set, but SMTP_PASSWORD"),
        (vec![("SMTP_PASSWORD", "s3cret")], "SMTP_PASSWORD: is set, but SMTP_USER is not"),
        (vec![("WEBHOOK_SECRET", "s3cret"), ("WEBHOOK_SECRET_FILE", "/x")], "unset one of them"),
        (
            vec![("WEBHOOK_SECRET_FILE", "/nonexistent")],
            "WEBHOOK_SECRET_FILE=/nonexistent: No such",
        ),
        (vec![("WEBHOOK_SECRET", "s3cret\nx")], "one line"),
        (vec![("SIPWARD_FLEET_KEY", "s3cret"), ("SIPWARD_FLEET_KEY_FILE", "/x")], "unset one of"),
        (vec![("SMTP_USER", "a\r\nb"), ("SMTP_PASSWORD", "s3cret")], "SMTP_USER: must be one line"),
    ] {
        let error = from(&variables).expect_err("must be refused");
        assert!(error.contains(told), "{variables:?} gave {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn debug_output_has_no_secret() {
    let all = from(&[("SMTP_USER", "pbx"), ("SMTP_PASSWORD", "s3cret"), ("WEBHOOK_SECRET", "k3y")]);
    let shown = format!("{all:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("k3y"), "{shown}");
}
