//! Refusals: the status, `application/problem+json`, and always a hint that says what to do.

use crate::support::World;
use crate::support::gate::text;
use serde_json::json;

#[test]
fn each_refusal_says_what_to_do() {
    let world = World::new();
    let bodies = [
        (json!({}), 400),
        (json!({"selector": ""}), 400),
        (json!({"selector": 5}), 400),
        (json!({"selctor": "all"}), 400),
        (json!({"selector": "all"}), 404),
        (json!({"selector": "wroker=a"}), 400),
        (json!({"selector": "system=celry"}), 400),
        (json!({"selector": "ip=10.0.0.0/33"}), 400),
        (json!({"selector": "all", "name": "a b"}), 400),
        (json!({"selector": "all", "ttl": "soon"}), 400),
        (json!({"selector": "all", "ttl": "0s"}), 400),
        (json!({"selector": "all", "ttl": "none"}), 400),
        (json!({"selector": "all", "require": "unknown"}), 400),
        (json!({"selector": "all", "delayed": "no"}), 400),
        (json!({"selector": "all", "reason": "x".repeat(2_000)}), 400),
        (json!({"selector": "x".repeat(300_000)}), 413),
    ];
    let calls = [
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/drains", 405),
        ("GET", "/v1/workers?bogus=1", 400),
        ("GET", "/v1/workers?selector=a=b", 400),
        ("GET", "/v1/workers/none", 404),
        ("GET", "/v1/drains/none", 404),
        ("GET", "/v1/drains/none?wait=finished", 400),
        ("GET", "/v1/drains/none?timeout=1s", 400),
        ("GET", "/v1/drains/none?wait=sealed&timeout=x", 400),
        ("POST", "/v1/self/drain", 404),
    ];
    let posts = bodies.iter().map(|(body, status)| ("POST", "/v1/drains", *status, Some(body)));
    let others = calls.iter().map(|(method, path, status)| (*method, *path, *status, None));
    for (method, path, status, body) in posts.chain(others) {
        let (got, problem) = world.gate().http(method, path, body).expect("an answer");
        let call = format!("{method} {path} {:.80}", body.map(ToString::to_string).unwrap_or_default());
        assert_eq!(got, status, "{call}: {problem}");
        assert_eq!(problem["status"], status, "{call}: {problem}");
        assert!(text(&problem["type"]).starts_with("urn:draingate:"), "{call}: {problem}");
        for field in ["title", "detail", "hint"] {
            assert!(!text(&problem[field]).is_empty(), "no {field}: {call}: {problem}");
        }
        assert!(!text(&problem["detail"]).contains('\n'), "one line: {call}: {problem}");
    }
    assert_eq!(world.gate().get("/v1/drains"), json!({"drains": []}));
}
