//! One scenario so many times: what `benches/instructions.py` counts the instructions of.
//!
//!   instructions                 the scenarios: name, commands or frames in a cycle, bytes of a cycle
//!   instructions NAME CYCLES

use std::process::ExitCode;
use traffic::scenario::{Run, all};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            all().iter().for_each(|s| println!("{}\t{}\t{}", s.name, s.units, s.bytes()));
            ExitCode::SUCCESS
        }
        [name, cycles] => match (all().iter().find(|s| s.name == name), cycles.parse::<u64>()) {
            (Some(scenario), Ok(cycles)) => {
                let mut run = Run::new(scenario);
                (0..cycles).for_each(|_| run.cycle());
                ExitCode::SUCCESS
            }
            _ => ExitCode::from(2),
        },
        _ => ExitCode::from(2),
    }
}
