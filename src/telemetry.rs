//! The log and the metrics. Facts are counted where they happen; what describes the present (gauges) is computed from
//! the fleet when somebody scrapes.

mod gauges;
mod jobs;
mod log;
mod meter;
mod notices;

pub use gauges::Present;
pub use jobs::jobs;
pub use log::{LogControl, init_log};
pub use meter::{ListenerMeter, Meter, ThreadMeter};
pub use notices::{connection_event, gate_error, notice};

use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds, from a fetch that was idle anyway to a night's job.
const BUCKETS: [f64; 15] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 43_200.0];

/// The metrics of this process.
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder of this process.
    pub fn install() -> Result<Metrics, BuildError> {
        let histograms = Matcher::Suffix("_seconds".into());
        let handle = PrometheusBuilder::new().set_buckets_for_metric(histograms, &BUCKETS)?.install_recorder()?;
        describe();
        notices::begin();
        metrics::gauge!("draingate_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Metrics { handle })
    }

    /// All of them, in Prometheus' text format.
    pub fn render(&self, present: &Present, meter: &Meter) -> String {
        gauges::refresh(present, meter);
        self.handle.run_upkeep();
        self.handle.render()
    }

    /// To be called now and then when nobody scrapes: gives back what histograms hold in the meantime.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn describe() {
    describe_gauge!("draingate_build_info", "The version of this gate; always 1");
    describe_gauge!("draingate_connections", "Client connections open now");
    describe_counter!("draingate_connections_total", "Client connections by how they went");
    describe_gauge!("draingate_workers", "Workers by state");
    describe_gauge!("draingate_jobs_in_flight", "Jobs delivered and not finished, by kind");
    describe_gauge!("draingate_oldest_job_seconds", "Age of the oldest job in flight, by its worker's state");
    describe_counter!("draingate_jobs_delivered_total", "Jobs that reached a worker");
    describe_counter!("draingate_jobs_finished_total", "Jobs that left a worker, by how");
    describe_counter!("draingate_fetches_held_total", "Fetches that the gate kept to itself");
    describe_counter!("draingate_unknown_scripts_total", "Scripts and functions of which the gate knows nothing");
    describe_counter!("draingate_fetches_rewritten_total", "Scripts that were kept from fetching along the way");
    describe_gauge!("draingate_drains", "Drains by state");
    describe_histogram!("draingate_drain_seal_seconds", "From the mark of a worker until it was sealed");
    describe_histogram!("draingate_drain_seconds", "From the mark of a worker until it was drained");
    describe_counter!("draingate_workers_lost_total", "Workers that went away with jobs in flight");
    describe_counter!("draingate_orphan_replies_total", "Jobs the broker handed out for a worker that had vanished");
    describe_gauge!(
        "draingate_queue_open_consumers",
        "Workers that can get a job of a queue now: not marked, and it is not paused"
    );
    describe_gauge!("draingate_queues_paused", "Pauses of queues in force");
    describe_gauge!("draingate_opaque_connections", "Connections that could not be judged any more");
    describe_counter!("draingate_protocol_errors_total", "Connections given up because of what was sent on them");
    describe_counter!("draingate_upstream_connect_errors_total", "Brokers that could not be reached");
    describe_counter!("draingate_bytes_total", "Bytes relayed, by direction");
}
