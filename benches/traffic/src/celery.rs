//! What Celery 5 writes, with the lengths that it has in real traffic.

use crate::amqp::{Fields, Properties};
use base64::Engine as _;

/// The id of a task.
pub const ID: &str = "5f37287e-79dd-484e-bc33-bc6600c08d90";
/// The tag that kombu gives a delivery on Redis.
pub const TAG: &str = "0a3c52f1-0c5f-4f0a-a0ff-5e8f0c7cbb1e";
/// Where results go over AMQP.
pub const REPLY: &str = "f39701cf-d1ae-36da-9297-e47398fdf819";
/// The end of an id or tag, in which those of one job differ from another's.
pub const OWN: usize = 12;
/// The body of a task without arguments.
pub const BODY: &str = r#"[[5, 5], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]"#;
/// The body of the `number`th heartbeat of a worker that has begun so many tasks, of which so many run.
fn heartbeat(number: u64, active: u64, processed: u64) -> String {
    format!(
        concat!(
            r#"{{"hostname": "w1@vm", "utcoffset": 0, "pid": 77, "clock": 9, "freq": 2.0, "active": {active}, "#,
            r#""processed": {processed}, "loadavg": [0.1, 0.2, 0.1], "sw_ident": "py-celery", "sw_ver": "5.7.0", "#,
            r#""sw_sys": "Linux", "timestamp": {seconds}.25, "type": "worker-heartbeat"}}"#
        ),
        active = active,
        processed = processed,
        seconds = 1_795_000_000 + 2 * number
    )
}

/// A task's result.
pub fn result() -> String {
    format!(
        r#"{{"status": "SUCCESS", "result": 10, "traceback": null, "children": [], "date_done": "2026-11-21T16:08:36", "task_id": "{ID}"}}"#
    )
}

/// A task as kombu keeps it in a list of Redis; its body begins with `mark` and is of so many bytes.
pub fn envelope(mark: &str, size: usize) -> String {
    let body = format!("{mark}{}", "A".repeat(size.saturating_sub(mark.len())));
    format!(
        concat!(
            r#"{{"body": "{body}", "content-encoding": "utf-8", "content-type": "application/json", "headers": "#,
            r#"{{"lang": "py", "task": "app.add", "id": "{id}", "shadow": null, "eta": null, "expires": null, "#,
            r#""group": null, "group_index": null, "retries": 0, "timelimit": [null, null], "root_id": "{id}", "#,
            r#""parent_id": null, "argsrepr": "(5, 5)", "kwargsrepr": "{{}}", "origin": "gen16977@vm", "#,
            r#""ignore_result": false, "replaced_task_nesting": 0, "stamped_headers": null, "stamps": {{}}}}, "#,
            r#""properties": {{"correlation_id": "{id}", "reply_to": "{reply}", "delivery_mode": 2, "#,
            r#""delivery_info": {{"exchange": "", "routing_key": "celery"}}, "priority": 0, "#,
            r#""body_encoding": "base64", "delivery_tag": "{tag}"}}}}"#
        ),
        body = body,
        id = ID,
        reply = REPLY,
        tag = TAG
    )
}

/// The message of a heartbeat on Redis, see [`heartbeat`].
pub fn beat(number: u64, active: u64, processed: u64) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(heartbeat(number, active, processed));
    format!(
        concat!(
            r#"{{"body": "{}", "content-encoding": "utf-8", "content-type": "application/json", "headers": "#,
            r#"{{"hostname": "w1@vm"}}, "properties": {{"delivery_mode": 1, "delivery_info": {{"exchange": "celeryev", "#,
            r#""routing_key": "worker.heartbeat"}}, "priority": 0, "body_encoding": "base64"}}}}"#
        ),
        body
    )
}

/// The properties of a task over AMQP.
pub fn properties() -> Properties {
    let headers = Fields::default().entry("lang", "py").entry("task", "app.add").entry("id", ID);
    let headers = headers.void("shadow").void("eta").void("expires").void("group").void("group_index");
    let headers = headers.entry("root_id", ID).void("parent_id").entry("argsrepr", "(5, 5)").entry("kwargsrepr", "{}");
    Properties::celery(&headers.entry("origin", "gen16977@vm").void("stamped_headers"), ID, REPLY)
}
