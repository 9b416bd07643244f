//! A home-made worker on RabbitMQ with lapin: takes jobs `ID SECONDS` as many at a time as its prefetch allows, and
//! acknowledges each when it is done. The environment is that of pika_jobs.py.

use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn note(what: &str, id: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs_f64();
    let line = format!("{what} {id} {now:.6} {} {}\n", std::process::id(), env("WORKER"));
    let mut log = OpenOptions::new().append(true).create(true).open(env("JOB_LOG")).expect("the job log");
    log.write_all(line.as_bytes()).expect("the job log");
}

#[tokio::main]
async fn main() -> lapin::Result<()> {
    let name = ConnectionProperties::default().with_connection_name(env("CONNECTION_NAME").into());
    let connection = Connection::connect(&format!("amqp://{}/%2f", env("BROKER")), name).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(env("PREFETCH").parse().expect("a number"), BasicQosOptions::default()).await?;
    channel.queue_declare("jobs".into(), QueueDeclareOptions::durable(), FieldTable::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut jobs = channel.basic_consume("jobs".into(), "".into(), options, FieldTable::default()).await?;
    note("ready", "-");
    while let Some(job) = jobs.next().await {
        let job = job?;
        tokio::spawn(async move {
            let body = String::from_utf8_lossy(&job.data).into_owned();
            let (id, seconds) = body.split_once(' ').expect("ID SECONDS");
            note("start", id);
            tokio::time::sleep(Duration::from_secs_f64(seconds.trim().parse().expect("a number"))).await;
            note("end", id);
            job.ack(BasicAckOptions::default()).await.expect("an ack");
        });
    }
    Ok(())
}
