//! Which gate a command talks to, as whom, and whom it believes.

use clap::Args;
use std::path::PathBuf;

/// Which gate, and as whom.
#[derive(Debug, Args)]
pub(in crate::cli) struct GateArgs {
    /// The gate's admin API: its URL, or unix:PATH; for `serve` the address to listen on [env: DRAINGATE_ADMIN (not for
    /// `serve`)] [default: what admin.json in the state directory says, else http://127.0.0.1:9480]
    // Not read by clap from the environment: the URL for the clients is no address for `serve`.
    #[arg(long, global = true, value_name = "URL")]
    pub(in crate::cli) admin: Option<String>,
    /// Token for the admin API
    #[arg(long, global = true, env = "DRAINGATE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(in crate::cli) token: Option<String>,
    /// Who must have signed the certificate of an https:// gate (PEM) [default: whom this host trusts]
    #[arg(long, global = true, env = "DRAINGATE_CA", value_name = "FILE")]
    pub(in crate::cli) ca: Option<PathBuf>,
    /// The certificate that is shown to an https:// gate (PEM)
    #[arg(long, global = true, env = "DRAINGATE_CERT", value_name = "FILE")]
    pub(in crate::cli) cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, global = true, env = "DRAINGATE_KEY", value_name = "FILE")]
    pub(in crate::cli) key: Option<PathBuf>,
}
