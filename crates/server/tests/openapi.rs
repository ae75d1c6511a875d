//! The committed OpenAPI document is what the route table says; `UPDATE_EXPECT=1` rewrites it.

use std::path::Path;

#[test]
fn the_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let document = atoll_server::api::openapi::document();
    let text = format!("{}\n", serde_json::to_string_pretty(&document).expect("it is JSON"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &text).expect("docs can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "docs/openapi.json is not what the routes say; run `make openapi`");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = atoll_server::api::openapi::document();
    let text = document.to_string();
    let mut checked = 0;
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().expect("a string ends");
        assert!(document.pointer(pointer).is_some(), "{pointer} is not in the document");
        checked += 1;
    }
    assert!(checked > 50, "only {checked} references were found");
}
