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
fn what_changes_something_needs_write() {
    let needed = |method: &str, path| scope_needed(&method.parse().unwrap(), path);
    for (method, path) in [
        ("GET", "/api/v1/bans"),
        ("HEAD", "/metrics"),
        ("POST", "/api/v1/test"),
        ("POST", "/api/v1/policy/preview"),
        ("POST", "/logout"),
    ] {
        assert_eq!(needed(method, path), Scope::Read, "{method} {path}");
    }
    for (method, path) in [
        ("POST", "/api/v1/bans"),
        ("DELETE", "/api/v1/bans/preview"),
        ("PUT", "/api/v1/test"),
        ("BREW", "/api/v1/test"),
        ("POST", "/api/v1/bans%2Fpreview"),
    ] {
        assert_eq!(needed(method, path), Scope::Write, "{method} {path}");
    }
}

#[test]
fn of_the_api_only_trials_and_previews_are_open_to_readers() {
    let document = serde_json::to_value(crate::api::document()).unwrap();
    let mut changing = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let trial = path.ends_with("/preview") || path == "/api/v1/test";
            let looks = method == Method::GET || trial;
            assert_eq!(scope_needed(&method, path) == Scope::Read, looks, "{method} {path}");
            changing += usize::from(!looks);
        }
    }
    assert!(changing > 8, "only {changing}");
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
