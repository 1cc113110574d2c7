use std::fs;

/// Set to renew the file.
const RENEW: &str = "SIPWARD_RENEW";

#[test]
fn the_openapi_document_in_the_repository_is_that_of_the_handlers() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let made = serde_json::to_string_pretty(&super::document()).unwrap() + "\n";
    if std::env::var_os(RENEW).is_some() {
        fs::write(file, &made).unwrap();
    }
    let kept = fs::read_to_string(file).unwrap_or_default();
    assert!(
        kept == made,
        "docs/openapi.json is not what the handlers say; renew it with `{RENEW}=1 cargo test -p sipward-server \
         openapi` and look at the difference"
    );
}

#[test]
fn every_reference_in_the_openapi_document_leads_somewhere() {
    let document = serde_json::to_value(super::document()).unwrap();
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
    let mut count = 0;
    for reference in references {
        count += 1;
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    assert!(count > 50, "only {count} references");
}

#[test]
fn what_changes_something_needs_scope_write() {
    let document = serde_json::to_value(super::document()).unwrap();
    let mut changing = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let trial = path.ends_with("/preview") || path == "/api/v1/test";
            let scope = if method == "get" || trial { "read" } else { "write" };
            assert_eq!(operation["x-scope"], scope, "{method} {path}");
            changing += usize::from(scope == "write");
        }
    }
    assert!(changing > 8, "only {changing}");
}
