//! Who may call.

use crate::fake::{Fake, token};
use draingate::api::ApiSettings;
use draingate::api::auth::{Allowed, Caller, Rules, Scope};
use draingate::api::error::{Kind, Problem};
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};

fn caller(peer: &str, local: &str) -> Caller {
    let socket = |ip: &str| std::net::SocketAddr::new(ip.parse().expect("an address"), 1);
    Caller::Tcp { peer: socket(peer), local: socket(local) }
}

fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
    list.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("a value"))).collect()
}

fn kind_of(problem: &Problem, kinds: &[Kind]) -> Option<Kind> {
    kinds.iter().copied().find(|kind| problem.is(*kind))
}

#[test]
fn without_tokens_the_own_host_is_trusted() {
    let rules = Rules::default();
    let none = HeaderMap::new();
    for (peer, local, allowed) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("::1", "::1", true),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", true),
        ("10.0.0.5", "10.0.0.5", true),
        ("10.0.0.6", "10.0.0.5", false),
    ] {
        let checked = rules.check(caller(peer, local), &none, Scope::Drain, true);
        assert_eq!(checked.is_ok(), allowed, "{peer} at {local}: {checked:?}");
    }
}

#[test]
fn who_may_open_the_unix_socket_is_on_this_host() {
    let here = Caller::Unix { pid: None, uid: 1000 };
    // no browser gets there, and clients write any host
    let page = headers(&[(HOST, "gate"), (ORIGIN, "http://localhost:3000")]);
    let allowed = Rules::default().check(here, &page, Scope::Drain, true);
    assert_eq!(allowed, Ok(Allowed::User(1000)));
    let rules = Rules { tokens: vec![token("ci", "sesame", Scope::Drain)] };
    assert_eq!(rules.check(here, &page, Scope::Read, false).expect_err("no token").status, 401);
    let sesame = headers(&[(AUTHORIZATION, "Bearer sesame")]);
    assert_eq!(rules.check(here, &sesame, Scope::Drain, true), Ok(Allowed::Token("ci".to_owned())));
}

#[test]
fn pages_in_a_browser_are_not_trusted() {
    let rules = Rules::default();
    let here = caller("127.0.0.1", "127.0.0.1");
    for (host, allowed) in [
        ("localhost:9480", true),
        ("LOCALHOST", true),
        ("127.0.0.1:9480", true),
        ("[::1]:9480", true),
        ("dev.localhost:9480", true),
        ("evil.example:9480", false),
        ("localhost.evil.example", false),
        ("", false),
    ] {
        let checked = rules.check(here, &headers(&[(HOST, host)]), Scope::Read, false);
        assert_eq!(checked.is_ok(), allowed, "{host}");
    }
    let page = headers(&[(HOST, "localhost:9480"), (ORIGIN, "http://localhost:3000")]);
    assert!(rules.check(here, &page, Scope::Read, false).is_ok(), "looking is not forbidden to it");
    let refused = rules.check(here, &page, Scope::Drain, true).expect_err("a page");
    assert_eq!(kind_of(&refused, &[Kind::ForeignPage]), Some(Kind::ForeignPage));
}

#[test]
fn a_token_has_a_scope() {
    let with = |scope| Rules { tokens: vec![token("ci", "sesame", scope)] };
    let far = caller("10.0.0.6", "10.0.0.5");
    let sesame = headers(&[(AUTHORIZATION, "bearer sesame"), (ORIGIN, "http://anywhere")]);

    let allowed = with(Scope::Drain).check(far, &sesame, Scope::Drain, true);
    assert_eq!(allowed, Ok(Allowed::Token("ci".to_owned())));
    assert!(with(Scope::Admin).check(far, &sesame, Scope::Read, false).is_ok());
    let refused = with(Scope::Read).check(far, &sesame, Scope::Drain, true).expect_err("too little");
    assert_eq!((refused.status, refused.is(Kind::Scope)), (403, true));

    let here = caller("127.0.0.1", "127.0.0.1");
    for wrong in ["Bearer sesam", "Basic sesame", "sesame", "Bearer "] {
        let refused = with(Scope::Admin).check(here, &headers(&[(AUTHORIZATION, wrong)]), Scope::Read, false);
        assert_eq!(refused.expect_err(wrong).status, 401, "{wrong}");
    }
    assert!(with(Scope::Admin).check(here, &HeaderMap::new(), Scope::Read, false).is_err());
}

#[tokio::test]
async fn every_call_is_guarded_but_the_health_checks() {
    let rules = Rules { tokens: vec![token("ci", "sesame", Scope::Read)] };
    let gate = Fake::new().serve_at("127.0.0.1:0", ApiSettings { rules, ..ApiSettings::default() }).await;
    let http = reqwest::Client::new();
    for path in ["/v1/workers", "/v1/workers/x", "/v1/drains", "/v1/drains/x", "/v1/version", "/metrics"] {
        let answer = http.get(gate.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 401, "{path}");
        assert!(answer.headers().contains_key("www-authenticate"), "{path}");
    }
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(http.get(gate.url(path)).send().await.expect("an answer").status(), 200, "{path}");
    }
    let looked = http.get(gate.url("/v1/workers")).bearer_auth("sesame").send().await.expect("an answer");
    assert_eq!(looked.status(), 200);
    for call in [
        http.post(gate.url("/v1/drains")),
        http.post(gate.url("/v1/self/drain")),
        http.delete(gate.url("/v1/drains/x")),
    ] {
        assert_eq!(call.bearer_auth("sesame").send().await.expect("an answer").status(), 403);
    }
}
