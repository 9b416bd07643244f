//! The store against real files.

use super::*;
use std::io::Write;

fn lines(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn open(dir: &Path) -> (Store, Saved) {
    Store::open(&StateConfig::in_dir(dir), false).expect("opens")
}

#[test]
fn what_was_saved_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, saved) = open(dir.path());
    assert_eq!(saved, Saved::default());
    store.save_drains("blue\n").expect("saved");
    store.rewrite_journal(b"a\n").expect("rewritten");
    store.journal("b\n".as_bytes());
    store.journal("ü\n".as_bytes());
    drop(store);
    let (_store, saved) = open(dir.path());
    assert_eq!(saved, Saved { drains: Some("blue\n".into()), journal: lines(&["a", "b", "ü"]) });
}

#[test]
fn a_torn_last_line_is_ignored() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    store.rewrite_journal(b"whole\n").expect("rewritten");
    drop(store);
    let mut file = OpenOptions::new().append(true).open(dir.path().join(JOURNAL)).expect("there");
    file.write_all(b"torn \xc3").expect("written");
    let (store, saved) = open(dir.path());
    assert_eq!(saved.journal, lines(&["whole"]));
    // and nothing is appended behind it
    store.journal("glued\n".as_bytes());
    drop(store);
    assert_eq!(open(dir.path()).1.journal, lines(&["whole"]));
}

#[test]
fn a_second_gate_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_store, _) = open(dir.path());
    let error = Store::open(&StateConfig::in_dir(dir.path()), false).err().expect("refused");
    assert!(matches!(error, StoreError::Taken { .. }), "{error}");
}

/// As a child process has it between its fork and its own program.
#[test]
fn a_copy_of_the_lock_file_does_not_keep_the_lock() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let _copy = store.lock.try_clone().expect("copied");
    drop(store);
    open(dir.path());
}

#[test]
fn what_cannot_be_read_is_refused_and_can_be_ignored() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, content) in [(DRAINS, &b"\xff\xfe\n"[..]), (JOURNAL, b"something else\n"), (JOURNAL, b"\xff\n")] {
        fs::write(dir.path().join(name), content).expect("written");
        let error = Store::open(&StateConfig::in_dir(dir.path()), false).err().expect("refused").to_string();
        assert!(error.contains(name) && error.contains("--ignore-state"), "{error}");
        let (_store, saved) = Store::open(&StateConfig::in_dir(dir.path()), true).expect("ignored");
        assert_eq!(saved, Saved::default());
        let _ = fs::remove_file(dir.path().join(JOURNAL));
    }
    let aside = fs::read_dir(dir.path()).expect("readable").filter_map(Result::ok);
    assert!(aside.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("drains.ignored-")));
}

#[test]
fn a_directory_that_cannot_be_made_is_one_clear_line() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("file"), "").expect("written");
    let error =
        Store::open(&StateConfig::in_dir(&dir.path().join("file/state")), false).err().expect("refused").to_string();
    assert!(error.contains("the directory cannot be made") && !error.contains('\n'), "{error}");
}

#[test]
fn a_journal_that_failed_is_emptied_and_asks_to_be_written_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    store.rewrite_journal(b"a\n").expect("rewritten");
    // a file that can only be read stands for a disk that takes no more
    store.locked_journal().file = File::open(dir.path().join(JOURNAL)).expect("there");
    assert!(store.journal("b\n".as_bytes()));
    store.rewrite_journal(b"a\nb\n").expect("rewritten");
    store.journal("c\n".as_bytes());
    drop(store);
    assert_eq!(open(dir.path()).1.journal, lines(&["a", "b", "c"]));
}

#[test]
fn a_journal_that_has_grown_asks_to_be_written_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    store.rewrite_journal(b"").expect("rewritten");
    let line = "x".repeat(1 << 20) + "\n";
    for _ in 0..15 {
        assert!(!store.journal(line.as_bytes()));
    }
    assert!(store.journal(line.as_bytes()));
}

/// What matters in it is large itself: writing it anew for each bit of growth would cost more than what is appended.
#[test]
fn a_journal_is_written_anew_for_a_multiple_of_what_matters() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let line = "x".repeat(1 << 20) + "\n";
    store.rewrite_journal(line.repeat(8).as_bytes()).expect("rewritten");
    let appended = (1..).find(|_| store.journal(line.as_bytes()));
    assert_eq!(appended, Some(25), "behind 8 others, and as much again three times");
    store.rewrite_journal(b"").expect("rewritten");
    assert!(!store.journal(line.as_bytes()));
}

#[test]
fn the_admin_address_is_said_and_taken_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let unix_socket = Some("/run/draingate/admin.sock".to_owned());
    for (secure, url) in [(false, "http://127.0.0.1:9480"), (true, "https://127.0.0.1:9480")] {
        let admin = AdminInfo { address: "127.0.0.1:9480".to_owned(), secure, unix_socket: unix_socket.clone() };
        store.save_admin(&admin).expect("saved");
        let text = fs::read_to_string(dir.path().join(ADMIN)).expect("there");
        let content: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(content["url"], url);
        assert_eq!(content["unix_socket"], "/run/draingate/admin.sock");
        assert_eq!(Store::read_admin(dir.path()), Some(admin));
        // no process has such a number
        let pid = format!("\"pid\":{}", std::process::id());
        fs::write(dir.path().join(ADMIN), text.replace(&pid, "\"pid\":4194305")).expect("written");
        assert_eq!(Store::read_admin(dir.path()), None, "of a gate that was killed");
    }
    store.remove_admin();
    assert!(!dir.path().join(ADMIN).exists());
}
