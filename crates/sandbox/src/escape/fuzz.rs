//! Programs put together at random from what programs should not do.

use std::time::Duration;

use docent_core::Sandbox;

use super::attempts::attempt;
use super::{Attempt, Ends, Finding, Host, Layer, trial};

/// How many programs, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fuzz {
    /// How many there are.
    pub programs: u64,
    /// The same seed makes the same programs.
    pub seed: u64,
}

impl Default for Fuzz {
    fn default() -> Self {
        Self { programs: 100, seed: 1 }
    }
}

/// Runs random programs, each in a session of two seconds. However they end, they must do so in
/// time, with results that are bounded, nothing left, and a sandbox that goes on. A finding has
/// the program in its notes if there is something to it.
pub fn fuzz(sandbox: &dyn Sandbox, host: &mut Host, fuzz: Fuzz) -> Vec<Finding> {
    let programs = (0..fuzz.programs).map(|number| random(fuzz.seed, number));
    let judged = programs.map(|attempt| {
        let mut finding = trial::judge(sandbox, host, &attempt);
        if finding.outcome >= super::Outcome::Unclear {
            finding.notes.push(attempt.program);
        }
        finding
    });
    judged.collect()
}

/// The pieces, each in lines of its own and apart from the next by a line of percent signs.
fn pieces() -> Vec<&'static str> {
    include_str!("fuzz.py").split("\n# %%\n").skip(1).map(str::trim_end).collect()
}

fn random(seed: u64, number: u64) -> Attempt {
    let pieces = pieces();
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number + 1));
    let mut program = String::from("import os, sys, time, signal\n");
    for _ in 0..1 + chance.below(5) {
        let piece = pieces[chance.below(pieces.len())];
        match chance.below(3) {
            0 => program.push_str(piece),
            // So that more than one of them comes to be run.
            1 => program.push_str(&guarded(piece)),
            _ => program.push_str(&in_a_thread(piece)),
        }
        program.push('\n');
    }
    let layers = &[Layer::Protocol, Layer::Watchdog, Layer::Rlimits, Layer::Memory];
    let name = format!("fuzz/{seed}-{number}");
    let attempt = attempt(name, "do what programs should not", program, layers);
    Attempt { time: Duration::from_secs(2), ends: Ends::Somehow, ..attempt }
}

fn indented(piece: &str) -> String {
    piece.lines().map(|line| format!("    {line}\n")).collect()
}

fn guarded(piece: &str) -> String {
    format!("try:\n{}except BaseException as error:\n    print(type(error))\n", indented(piece))
}

fn in_a_thread(piece: &str) -> String {
    let body = indented(piece);
    format!(
        "def work():\n{body}    return None\nimport threading\nthreading.Thread(target=work, daemon=True).start()\n"
    )
}

/// Chance that can be had again.
struct Chance(u64);

impl Chance {
    /// A number below `bound`, by splitmix64.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_programs_again() {
        let programs =
            |seed| -> Vec<String> { (0..50).map(|number| random(seed, number).program).collect() };
        assert_eq!(programs(1), programs(1));
        assert_ne!(programs(1), programs(2));
        assert!(pieces().len() > 50, "{}", pieces().len());
    }
}
