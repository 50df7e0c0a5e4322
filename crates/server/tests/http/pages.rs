//! Web pages, which ask in the name of whoever looks at them.

use docent_server::ApiKeys;
use serde_json::json;

use crate::support::Api;

#[test]
fn without_a_key_only_a_page_of_the_same_host_and_port_may_ask() {
    let api = Api::new([]);
    let own = api.url("");
    let mut api = api.sending("origin", own);
    api.get("/v1/models").ok();
    let origins = ["https://evil.example", "http://127.0.0.1:1", "http://localhost:3000", "null"];
    for origin in origins {
        api = api.sending("origin", origin);
        let refused = api.post("/v1/threads", &json!({}));
        let (message, param, code) = refused.refused(403);
        assert_eq!((param, code), (None, Some("origin_not_allowed")), "{origin}");
        assert!(message.contains(&format!("'{origin}'")), "{message}");
        assert!(message.contains("DOCENT_API_KEY"), "{message}");
    }
}

/// A page may give its own name our address, and is of the same origin as we are then.
#[test]
fn without_a_key_only_names_that_no_page_can_have_are_taken() {
    let mut api = Api::new([]);
    for host in ["127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "localhost", "LocalHost:1"] {
        api = api.sending("host", host);
        api.get("/v1/models").ok();
    }
    let names = ["evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "a b"];
    for host in names {
        api = api.sending("host", host).sending("origin", format!("http://{host}"));
        let refused = api.get("/v1/models");
        let (message, param, code) = refused.refused(403);
        assert_eq!((param, code), (None, Some("host_not_allowed")), "{host}");
        assert!(message.contains("localhost") && message.contains("DOCENT_API_KEY"), "{message}");
    }
}

#[test]
fn with_a_key_the_server_may_have_any_name() {
    let api = Api::with_keys([], ApiKeys::new(["sk-local"])).sending("host", "docent.example");
    assert_eq!(api.get("/v1/models").status, 401);
    api.sending_key("sk-local").get("/v1/models").ok();
}
