//! SIGHUP: the configuration is read again and taken over as far as a running gate can; refused as a whole if anything
//! in it is wrong. What needs a restart is named.

use super::ServeOptions;
use super::api::Api;
use crate::config::Config;
use crate::hub::Hub;
use crate::telemetry::LogControl;
use crate::tls::Certificates;
use std::sync::Arc;

/// Reads it again; `running` becomes what is in force.
pub(super) fn reload(
    options: &ServeOptions,
    running: &mut Config,
    hub: &Hub,
    log: &LogControl,
    certificates: &[Arc<Certificates>],
    api: &mut Api,
) {
    let wanted = match options.load() {
        Ok(wanted) => wanted,
        Err(error) => {
            for line in error.to_string().lines() {
                tracing::error!("{line}");
            }
            tracing::error!("the configuration was not reloaded: the one in force stays");
            return;
        }
    };
    let mut changed = Vec::new();
    if wanted.log.filter != running.log.filter {
        log.set_filter(&wanted.log.filter);
        running.log.filter.clone_from(&wanted.log.filter);
        changed.push("log.filter");
    }
    if wanted.admin.tokens != running.admin.tokens {
        match api.restart(&wanted) {
            Ok(()) => {
                running.admin.tokens.clone_from(&wanted.admin.tokens);
                changed.push("admin.tokens");
            }
            Err(error) => tracing::error!(%error, "the tokens could not be changed: those in force stay"),
        }
    }
    if wanted.drains != running.drains {
        running.drains = wanted.drains.clone();
        hub.with_fleet(|fleet, now| fleet.reconfigure(now, running.fleet_settings()));
        changed.push("drains");
    }
    if wanted.shutdown_grace != running.shutdown_grace {
        running.shutdown_grace = wanted.shutdown_grace;
        changed.push("shutdown.grace");
    }
    // whoever renews them puts the new ones under the names of the old ones
    let with_some = || certificates.iter().filter(|certificates| certificates.are_there());
    match with_some().try_for_each(|certificates| certificates.renew()) {
        Ok(()) if with_some().next().is_some() => changed.push("certificates"),
        Ok(()) => (),
        Err(error) => tracing::error!(%error, "the certificates could not be read again: those in force stay"),
    }
    let restart = needs_restart(running, &wanted);
    let (changed, needs_restart) = (changed.join(", "), restart.join(", "));
    if needs_restart.is_empty() {
        tracing::info!(changed, "the configuration was reloaded");
    } else {
        tracing::warn!(changed, needs_restart, "the configuration was reloaded as far as it can be without a restart");
    }
}

/// The sections that differ from what is in force.
fn needs_restart(running: &Config, wanted: &Config) -> Vec<&'static str> {
    let differences = [
        ("listener", running.listeners != wanted.listeners),
        ("admin.bind", running.admin.bind != wanted.admin.bind),
        ("admin.tls", running.admin.tls != wanted.admin.tls),
        ("admin.unix_socket", running.admin.unix_socket != wanted.admin.unix_socket),
        ("redis", running.redis_slice != wanted.redis_slice),
        ("celery", (running.celery_acks_late, running.celery_ask) != (wanted.celery_acks_late, wanted.celery_ask)),
        ("gate", running.gate != wanted.gate),
        ("state.dir", running.state.dir != wanted.state.dir),
        ("state.url", running.state.redis != wanted.state.redis),
        ("log.format", running.log.format != wanted.log.format),
    ];
    differences.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
