use super::*;

fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[test]
fn only_the_login_is_public() {
    for (method, path) in [("GET", "/login"), ("POST", "/login"), ("GET", "/login/style.css")] {
        assert!(is_public(&method.parse().unwrap(), path), "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/loginx"),
        ("DELETE", "/login"),
        ("POST", "/login/x"),
        ("GET", "/Login"),
        ("GET", "//login"),
        ("POST", "/logout"),
        ("GET", "/metrics"),
    ] {
        assert!(!is_public(&method.parse().unwrap(), path), "{method} {path}");
    }
}

#[test]
fn a_foreign_page_is_told_from_our_own() {
    let host = ("host", "pbx.example:8022");
    let own = |lines: &[(&'static str, &str)]| is_own_page(&map(lines), false);
    assert!(own(&[host, ("sec-fetch-site", "same-origin")]));
    assert!(own(&[host, ("origin", "https://PBX.example:8022")]));
    for foreign in [
        &[host, ("sec-fetch-site", "cross-site")][..],
        &[host, ("sec-fetch-site", "same-site")],
        &[host, ("sec-fetch-site", "none")],
        &[host, ("sec-fetch-site", "cross-site"), ("origin", "https://pbx.example:8022")],
        &[host, ("origin", "https://evil.example")],
        &[host, ("origin", "https://pbx.example")],
        &[host, ("origin", "null")],
        &[("origin", "null")],
        &[("origin", "https://")],
        &[host],
    ] {
        assert!(!own(foreign), "{foreign:?}");
    }
    assert!(is_own_page(&map(&[host]), true));
}

#[test]
fn a_bearer_token_is_one_and_stands_alone() {
    let token = |lines: &[(&'static str, &str)]| bearer(&map(lines)).map(str::to_owned);
    assert_eq!(token(&[("authorization", "Bearer abc")]).as_deref(), Some("abc"));
    assert_eq!(token(&[("authorization", "bearer abc")]).as_deref(), Some("abc"));
    assert_eq!(token(&[("authorization", "Basic abc")]), None);
    assert_eq!(token(&[("authorization", "abc")]), None);
    let twice = [("authorization", "Bearer abc"), ("authorization", "Bearer def")];
    assert_eq!(token(&twice), None);
}

#[test]
fn the_cookie_is_found_among_others_and_by_its_name_of_the_moment() {
    let headers = map(&[("cookie", "a=b; sipward=plain;__Host-sipward=safe"), ("cookie", "c=d")]);
    assert_eq!(cookie(&headers, false), Some("plain"));
    assert_eq!(cookie(&headers, true), Some("safe"));
    assert_eq!(cookie(&map(&[("cookie", "xsipward=1; sipward")]), false), None);
}
