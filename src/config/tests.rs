//! The file in the repository's root is the reference: it must say exactly the defaults.

use super::*;

const REFERENCE: &str = include_str!("../../draingate.toml");

fn home() -> Vec<(String, String)> {
    vec![("HOME".into(), "/home/gate".into())]
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Some(("gate.toml", text)), &home(), &Flags::default())
}

fn defaults() -> Config {
    Config::parse(None, &home(), &Flags::default()).expect("defaults are valid")
}

fn wrong(result: Result<Config, ConfigError>) -> String {
    result.expect_err("it is wrong").to_string()
}

#[test]
fn the_reference_file_says_the_defaults() {
    assert_eq!(parse(REFERENCE).expect("valid"), defaults());
    assert_eq!(defaults().fleet_settings().default_ttl, FleetSettings::default().default_ttl);
    assert_eq!(defaults().state.dir, PathBuf::from("/home/gate/.local/state/draingate"));
}

#[test]
fn every_commented_key_of_the_reference_file_is_known() {
    let uncommented: String = REFERENCE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(code) if code.contains(" = ") && !code.starts_with(' ') => format!("{code}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    match parse(&uncommented) {
        Ok(_) => (),
        Err(ConfigError::Wrong(problems)) => {
            for problem in problems {
                // the certificates that it names are not there
                assert!(problem.to_string().contains("No such file"), "{problem}");
            }
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn an_unknown_key_names_the_nearest_and_its_line() {
    let text = "[admin]\nbnid = \"127.0.0.1:1\"\n[drainz]\nx = 1\n";
    assert_eq!(
        wrong(parse(text)),
        "gate.toml:2: admin.bnid: there is no such key; the nearest is \"bind\"\n\
         gate.toml:3: drainz: there is no such key; the nearest is \"drains\""
    );
}

#[test]
fn each_wrong_value_is_one_line_that_says_what_was_expected() {
    let cases = [
        ("[drains]\ndefault_ttl = \"soon\"", "a duration such as 90s, 5m or 12h, found \"soon\""),
        ("[drains]\nforget_after = 60", "a duration such as 90s, 5m or 12h, in quotes, found 60"),
        ("[drains]\nrequire = \"perhaps\"", "\"exact\" or \"reported\" or \"inferred\", found \"perhaps\""),
        ("[redis]\nslice = \"1h\"", "a duration from 100ms to 10s"),
        ("[admin]\nbind = \"9480\"", "an address such as"),
        ("[admin]\nunix_socket = \"\"", "a path of at most 107 bytes"),
        ("[admin]\ntls = { cert = \"/nowhere\", key = \"/nowhere\" }", "admin.tls: /nowhere: No such file"),
        ("[log]\nformat = \"xml\"", "\"text\" or \"json\""),
        ("[log]\nfilter = \"draingate=loudly\"", "a filter such as"),
        ("[gate]\nfetch = [\"a[\"]", "a pattern such as"),
        ("[[listener]]\nmax_connections = 0", "a whole number above 0, found 0"),
        ("[[listener]]\nupstream = \"redis://:s3cret@h/\"", "clients bring their own, found \"redis://***@h/\""),
        ("[[listener]]\nupstream = \"redis://h:1/4\"", "clients choose their own"),
        ("[[listener]]\nupstream = []", "at least one broker"),
        ("[[listener]]\nupstream = \"redis-sentinel://h\"", "the master's name, and nothing else, behind the Sentinel"),
        ("[[listener]]\nupstream = \"redis-sentinel://:s3cret@h/a/b\"", "found \"redis-sentinel://***@h/a/b\""),
        ("[[listener]]\nupstream = [\"redis-sentinel://h/m\", \"h:1\"]", "Sentinels alone, or none"),
        ("[[listener]]\nprotocol = \"amqp\"\nupstream = \"redis-sentinel://h/m\"", "a URL that begins with amqp://"),
        ("[[listener]]\nupstream = \"unix://run/redis.sock\"", "an absolute path of at most 107 bytes"),
        ("[[listener]]\nupstream = \"unix:///r.sock?db=1\"", "clients choose their own"),
        ("[[listener]]\nupstream = \"unix://u:s3cret@/r.sock\"", "an absolute path of at most 107 bytes"),
        ("[[listener]]\nprotocol = \"amqp\"\nupstream = \"unix:///r.sock\"", "RabbitMQ has no Unix socket"),
        (
            "[[listener]]\nupstream = \"unix:///r.sock\"\nupstream_tls = {}",
            "gate.toml:3: listener.upstream_tls: a Unix socket of the broker speaks no TLS",
        ),
        (
            "[[listener]]\nupstream = [\"unix:///r.sock\", \"rediss://b\"]",
            "TLS to all the brokers of a listener, or to none",
        ),
        ("[listener]\nbind = \"127.0.0.1:1\"", "a list of tables [[listener]]"),
        ("[[listener]]\nname = \"a\"\n[[listener]]\nname = \"a\"", "another listener is named \"a\""),
        ("[[admin.tokens]]\nname = \"ci\"\nsha256 = \"abc\"", "64 hexadecimal digits"),
        ("[[admin.tokens]]\nname = \"ci\"", "sha256: is missing"),
        ("[[listener]]\nupstream = [\"a:1\", \"rediss://b\"]", "TLS to all the brokers of a listener, or to none"),
        ("[[listener]]\ntls = { cert = \"/nowhere\" }", "listener.tls.key: is missing"),
        ("[[listener]]\ntls = true", "a table [tls]"),
        ("[[listener]]\ntls = { cert = \"/nowhere\", key = \"/nowhere\" }", "listener.tls: /nowhere: No such file"),
        ("[[listener]]\nupstream_tls = { ca = \"/dev/null\" }", "/dev/null: there is no certificate in it (PEM)"),
        ("[[listener]]\nupstream_tls = { server_name = \"a b\" }", "a name as in certificates, found \"a b\""),
        ("[[listener]]\nprotocol = \"amqqp\"\nupstream = \"amqp://h\"", "\"redis\" or \"amqp\", found \"amqqp\""),
        ("[[listener]]\nproxy_protocol = 1", "true or false, found 1"),
        ("nonsense", "gate.toml:1: not TOML"),
    ];
    assert_each_is_one_line(&cases);
}

#[test]
fn each_wrong_place_of_the_state_is_one_line() {
    assert_each_is_one_line(&[
        ("[state]\ndir = \"\"", "expected a directory"),
        ("[state]\nurl = \"http://h\"", "a URL that begins with redis:// or rediss://"),
        (
            "[state]\nurl = \"redis://:s3cret@h/x\"",
            "a database number, or none, behind the host, found \"redis://***@h/x\"",
        ),
        (
            "[state]\nurl = \"redis://:s3cret@h:port\"",
            "a URL such as redis://user:password@127.0.0.1:6379/0?key=draingate",
        ),
        ("[state]\nurl = \"redis://user@h\"", "a password behind the user"),
        ("[state]\nurl = \"redis://h?kye=a\"", "nothing but ?key=NAME behind the database"),
        ("[state]\nurl = \"redis://h?key={a}\"", "without { and }"),
        ("[state]\nurl = \"env:NOWHERE\"", "an environment variable that is set"),
        ("[state]\ntls = {}", "there is no state.url that TLS could be spoken to"),
        ("[state]\nurl = \"rediss://h\"\ntls = { ca = \"/nowhere\" }", "state.tls: /nowhere: No such file"),
    ]);
}

/// Each text is refused with one line that has this in it, and no password.
fn assert_each_is_one_line(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let lines = wrong(parse(text));
        assert!(lines.contains(expected), "{text:?} gave {lines:?}");
        assert_eq!(lines.lines().count(), 1, "{lines}");
        assert!(!lines.contains("s3cret"));
    }
}

#[test]
fn two_cannot_listen_at_one_address() {
    let two = |one: &str, two: &str| {
        parse(&format!("[[listener]]\nname = \"a\"\nbind = \"{one}\"\n[[listener]]\nname = \"b\"\nbind = \"{two}\"\n"))
    };
    assert_eq!(
        wrong(two("0.0.0.0:6380", "127.0.0.1:6380")),
        "gate.toml:6: listener.bind: listener \"a\" (0.0.0.0:6380) and listener \"b\" (127.0.0.1:6380) would listen at the \
         same address: give each a port of its own"
    );
    for (one, other) in [
        ("127.0.0.1:6380", "127.0.0.1:6380"),
        (":6380", "10.0.0.1:6380"),
        ("[::]:6380", "[::1]:6380"),
        ("[::]:6380", "127.0.0.1:6380"),
        ("0.0.0.0:6380", "[::]:6380"),
        ("[::]:6380", "gate.local:6380"),
        ("[::ffff:127.0.0.1]:6380", "127.0.0.1:6380"),
        ("Gate.local:6380", "gate.local:6380"),
        // the admin's own default
        ("127.0.0.1:6380", "127.0.0.1:9480"),
    ] {
        for said in [wrong(two(one, other)), wrong(two(other, one))] {
            assert!(
                said.contains("would listen at the same address") && said.lines().count() == 1,
                "{one} {other}: {said}"
            );
        }
    }
    for (one, other) in [
        ("127.0.0.1:6380", "127.0.0.1:6381"),
        ("127.0.0.1:6380", "127.0.0.2:6380"),
        ("0.0.0.0:6380", "[::1]:6380"),
        ("localhost:6380", "127.0.0.1:6380"),
        ("localhost:6380", "0.0.0.0:6380"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("[::]:0", "0.0.0.0:0"),
    ] {
        two(one, other).unwrap_or_else(|error| panic!("{one} {other}: {error}"));
    }
    let admin =
        |bind: &str| Flags { admin: Some(bind.into()), redis: vec![":6380=broker:6379".into()], ..Flags::default() };
    let said = wrong(Config::parse(None, &home(), &admin("127.0.0.1:6380")));
    assert!(said.contains("admin.bind (127.0.0.1:6380) and listener \"redis\" (0.0.0.0:6380)"), "{said}");
    Config::parse(None, &home(), &admin("127.0.0.1:0")).expect("valid");
}

#[test]
fn a_flag_that_names_a_password_is_refused_without_it() {
    let flags = Flags { amqp: vec!["127.0.0.1:5673=amqp://u:p@127.0.0.1".into()], ..Flags::default() };
    let lines = wrong(Config::parse(None, &home(), &flags));
    assert!(lines.contains("clients bring their own") && !lines.contains("u:p"), "{lines}");
}

#[test]
fn sentinels_may_say_where_the_broker_is() {
    let upstream = |lines: &str| parse(&format!("[[listener]]\n{lines}")).expect("valid").listeners[0].upstream.clone();
    let two = upstream("upstream = [\"redis-sentinel://one/jobs\", \"redis-sentinel://:s3cret@two:5000/jobs\"]");
    assert_eq!(two.to_string(), "redis-sentinel://one:26379/jobs,redis-sentinel://two:5000/jobs");
    let BrokerAddress::Sentinel(second) = &two.addresses[1] else { panic!("{two:?}") };
    assert_eq!(second.server.password, Some(Password("s3cret".into())));
    assert!(!format!("{two:?}").contains("s3cret"), "{two:?}");
    let secure = upstream("upstream = \"redis-sentinel://h/m%201\"\nupstream_tls = { server_name = \"redis\" }");
    let BrokerAddress::Sentinel(sentinel) = &secure.addresses[0] else { panic!("{secure:?}") };
    assert_eq!((sentinel.master.as_str(), sentinel.to_string()), ("m 1", "rediss-sentinel://h:26379/m%201".into()));
    let name = sentinel.server.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
    assert_eq!((name, secure.secure), (Some("redis"), true));
    let flags = Flags { redis: vec!["127.0.0.1:0=rediss-sentinel://h/m".into()], ..Flags::default() };
    let flagged = Config::parse(None, &home(), &flags).expect("valid").listeners[0].clone();
    assert_eq!(flagged.upstream.to_string(), "rediss-sentinel://h:26379/m");
    assert!(flagged.upstream_tls.is_some());
}

#[test]
fn a_broker_may_be_behind_a_unix_socket() {
    let text = "[[listener]]\nupstream = [\"unix:///run/redis.sock\", \"redis://h\"]\nsend_proxy_protocol = true";
    let upstream = &parse(text).expect("valid").listeners[0].upstream;
    assert_eq!(upstream.to_string(), "unix:///run/redis.sock,redis://h:6379");
    assert_eq!(upstream.addresses[0].to_string(), "unix:/run/redis.sock");
    let flags = Flags { redis: vec!["127.0.0.1:0=unix:/run/redis.sock".into()], ..Flags::default() };
    let flagged = Config::parse(None, &home(), &flags).expect("valid");
    assert_eq!(flagged.listeners[0].upstream.to_string(), "unix:///run/redis.sock");
    let environment = [home(), vec![("DRAINGATE__LISTENER__0__UPSTREAM".into(), "h:1,unix:/r.sock".into())]].concat();
    let config = Config::parse(None, &environment, &Flags::default()).expect("valid");
    assert_eq!(config.listeners[0].upstream.to_string(), "redis://h:1,unix:///r.sock");
}

#[test]
fn the_drains_may_be_kept_in_redis() {
    let environment = [home(), vec![("STATE".into(), "rediss://gate:s3%2Fcret@h:1/2?key=blue".into())]].concat();
    let config = Config::parse(Some(("gate.toml", "[state]\nurl = \"env:STATE\"")), &environment, &Flags::default());
    let state = config.expect("valid").state;
    assert_eq!(state.dir, PathBuf::from("/home/gate/.local/state/draingate"), "beside it");
    assert!(!format!("{state:?}").contains("cret"));
    let redis = state.redis.expect("it is");
    assert_eq!(redis.to_string(), "rediss://h:1/2?key=blue");
    assert_eq!((redis.server.user.as_deref(), redis.server.password), (Some("gate"), Some(Password("s3/cret".into()))));
    let plain = parse("[state]\nurl = \"redis://:p@[::1]\"").expect("valid").state.redis.expect("it is");
    assert_eq!((plain.to_string().as_str(), plain.server.user), ("redis://[::1]:6379/0?key=draingate", None));
    let tls = parse("[state]\nurl = \"redis://h\"\ntls = {}").expect("valid").state.redis.expect("it is");
    assert_eq!(tls.to_string(), "rediss://h:6379/0?key=draingate");
}

#[test]
fn the_environment_is_stronger_than_the_file() {
    let mut environment = home();
    let mut set = |name: &str, value: &str| environment.push((name.into(), value.into()));
    set("DRAINGATE__ADMIN__BIND", "127.0.0.1:0");
    set("DRAINGATE__LISTENER__0__UPSTREAM", "one:1,redis://two");
    set("DRAINGATE__LISTENER__BLUE__MAX_CONNECTIONS", "7");
    set("DRAINGATE__GATE__FETCH", "jobs:*, more:*");
    set("DRAINGATE_THREADS", "not ours");
    let file = "[admin]\nbind = \"127.0.0.1:1\"\n[[listener]]\nname = \"blue\"\nupstream = \"x:1\"\n";
    let config = Config::parse(Some(("gate.toml", file)), &environment, &Flags::default()).expect("valid");
    assert_eq!(config.admin.bind, HostPort::new("127.0.0.1", 0));
    assert_eq!(config.listeners[0].upstream.to_string(), "redis://one:1,redis://two:6379");
    assert_eq!(config.listeners[0].max_connections, 7);
    assert_eq!(config.gate.fetch, ["jobs:*", "more:*"]);

    let config = Config::parse(None, &environment[..3], &Flags::default()).expect("valid");
    assert_eq!(config.listeners[0].name, "redis");

    let environment = [home(), vec![("DRAINGATE__ADMN__BIND".into(), "x".into())]].concat();
    let lines = wrong(Config::parse(None, &environment, &Flags::default()));
    assert_eq!(lines, "DRAINGATE__ADMN__BIND: admn: there is no such key; the nearest is \"admin\"");
}

#[test]
fn a_list_in_the_environment_may_look_as_in_the_file() {
    let fetch = |text: &str| {
        let environment = [home(), vec![("DRAINGATE__GATE__FETCH".into(), text.into())]].concat();
        Config::parse(None, &environment, &Flags::default()).expect("valid").gate.fetch
    };
    assert_eq!(fetch(r#"["jobs"]"#), ["jobs"]);
    assert_eq!(fetch("['jobs:{a,b}', \"more:*\"]"), ["jobs:{a,b}", "more:*"]);
    assert!(fetch("[]").is_empty());
    // not a list but a pattern
    assert_eq!(fetch("[ab]*,jobs"), ["[ab]*", "jobs"]);
}

#[test]
fn with_listener_flags_only_these_exist() {
    let flags = Flags {
        redis: vec!["127.0.0.1:0=redis://a".into(), "[::1]:7=b:8".into()],
        admin: Some("localhost:1".into()),
        state_dir: Some("/s".into()),
        ..Flags::default()
    };
    let file = "[[listener]]\nname = \"file\"\n[state]\ndir = \"/t\"";
    let config = Config::parse(Some(("gate.toml", file)), &home(), &flags).expect("valid");
    let names: Vec<_> = config.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!(names, ["redis", "redis-2"]);
    assert_eq!(config.listeners[1].bind.to_string(), "[::1]:7");
    assert_eq!(config.admin.bind, HostPort::new("localhost", 1));
    assert_eq!(config.state.dir, PathBuf::from("/s"));
    let flags = Flags { amqp: vec!["127.0.0.1:0=rabbit".into(), "127.0.0.1:0=amqp://b:1".into()], ..flags };
    let config = Config::parse(None, &home(), &flags);
    assert!(config.is_err(), "an upstream needs a port or a scheme");
    let flags = Flags { amqp: vec!["127.0.0.1:0=amqp://rabbit".into()], ..flags };
    let config = Config::parse(None, &home(), &flags).expect("valid");
    assert_eq!(config.listeners[2].name, "amqp");
    assert_eq!(config.listeners[2].protocol, Protocol::Amqp);
    assert_eq!(config.listeners[2].upstream.to_string(), "amqp://rabbit:5672");
    let flags = Flags { redis: vec!["127.0.0.1:1".into()], ..Flags::default() };
    assert!(wrong(Config::parse(None, &home(), &flags)).contains("--redis: expected LISTEN=UPSTREAM"));
}

#[test]
fn an_open_admin_address_needs_tokens() {
    let lines = wrong(parse("[admin]\nbind = \"0.0.0.0:9480\""));
    assert!(lines.starts_with("gate.toml:2: admin.bind: 0.0.0.0:9480 can be reached from other hosts"), "{lines}");
    let digest = "ab".repeat(32);
    let text = "[admin]\nbind = \":9480\"\ntokens = [{name = \"ci\", sha256 = \"env:CI\", scope = \"drain\"}]";
    let environment = [home(), vec![("CI".into(), digest)]].concat();
    let config = Config::parse(Some(("gate.toml", text)), &environment, &Flags::default()).expect("valid");
    let expected = [Token { name: "ci".into(), sha256: [0xab; 32], scope: Scope::Drain }];
    assert_eq!(config.admin.tokens, expected);
    // with the ends of lines that files have
    let file = tempfile::NamedTempFile::new().expect("made");
    std::fs::write(file.path(), "ab".repeat(32) + "\r\n").expect("written");
    let of_file = text.replace("env:CI", &format!("file:{}", file.path().display()));
    assert_eq!(parse(&of_file).expect("valid").admin.tokens, expected);
}

#[test]
fn without_a_home_the_state_directory_must_be_named() {
    let lines = wrong(Config::parse(None, &[], &Flags::default()));
    assert!(lines.contains("--state-dir"), "{lines}");
}

#[test]
fn tls_to_the_broker_is_what_its_url_or_the_key_asks_for() {
    let upstream = |more: &str| {
        let config = parse(&format!("[[listener]]\nprotocol = \"amqp\"\n{more}")).expect("valid");
        let listener = &config.listeners[0];
        (listener.upstream.to_string(), listener.upstream_tls.clone())
    };
    assert_eq!(upstream("upstream = \"amqp://h\""), ("amqp://h:5672".into(), None));
    let (address, tls) = upstream("upstream = \"amqps://h\"");
    assert_eq!((address.as_str(), tls), ("amqps://h:5671", Some(ClientTls::default())));
    let (address, tls) = upstream("upstream = \"h:1\"\nupstream_tls = { server_name = \"rabbit\" }");
    assert_eq!(address, "amqps://h:1");
    assert_eq!(tls, Some(ClientTls { server_name: Some("rabbit".into()), ..ClientTls::default() }));
    let flags = Flags { redis: vec!["127.0.0.1:0=rediss://a".into()], ..Flags::default() };
    let config = Config::parse(None, &home(), &flags).expect("valid");
    assert_eq!(config.listeners[0].upstream.to_string(), "rediss://a:6379");
    assert!(config.listeners[0].upstream_tls.is_some());
}
