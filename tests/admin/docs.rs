//! docs/reference.md tells of everything there is: each command and flag, each route, each metric.

use draingate::api::routes::ROUTES;
use std::collections::BTreeSet;
use std::process::Command;

fn reference() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md");
    std::fs::read_to_string(path).expect("docs/reference.md")
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_draingate")).args(arguments).arg("--help").output();
    String::from_utf8(output.expect("the command line runs").stdout).expect("text")
}

#[test]
fn every_command_and_flag() {
    let reference = reference();
    let top = help(&[]);
    let list = top.split("Commands:").nth(1).expect("a list of commands").split("\n\n").next().expect("a list");
    let commands: BTreeSet<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains("drain"), "{commands:?}");
    for command in commands.into_iter().filter(|command| *command != "help") {
        let row = reference.lines().find(|line| line.starts_with(&format!("| `{command}")));
        let row = row.unwrap_or_else(|| panic!("docs/reference.md has no row for {command}"));
        for flag in help(&[command]).lines().filter_map(flag_of) {
            let known = ["--help", "--version", "--admin", "--token", "--ca", "--cert", "--key", "--output"]
                .contains(&flag.as_str());
            assert!(known || row.contains(&flag), "docs/reference.md does not tell of {command} {flag}");
        }
    }
}

/// The long flag that a line of help is about.
fn flag_of(line: &str) -> Option<String> {
    let line = line.trim_start();
    let flag = line.split([' ', ',']).find(|word| word.starts_with("--"))?;
    line.starts_with('-').then(|| flag.to_owned())
}

#[test]
fn every_route() {
    let reference = reference();
    for (path, methods) in ROUTES {
        for method in *methods {
            let call = format!("`{} {path}", method.to_uppercase());
            assert!(reference.contains(&call), "docs/reference.md does not tell of {call}");
        }
    }
}

#[test]
fn every_metric() {
    let reference = reference();
    let source = include_str!("../../src/telemetry.rs");
    let described: Vec<&str> = source.lines().filter_map(|line| line.split("!(\"draingate_").nth(1)).collect();
    assert!(described.len() > 15, "{described:?}");
    for name in described {
        let name = name.split('"').next().expect("a name");
        assert!(reference.contains(&format!("`draingate_{name}`")), "docs/reference.md does not tell of {name}");
    }
}
