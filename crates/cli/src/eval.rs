//! `docent eval`: how good retrieval is, on judged collections and on one's own documents.

mod generate;
mod run;

use anyhow::Result;

use crate::args;
use crate::outcome::Outcome;
use crate::setup::Setup;

pub(crate) fn run(command: &args::Eval, setup: &Setup) -> Result<Outcome> {
    match command {
        args::Eval::Run(args) => run::run(args, setup),
        args::Eval::Generate(args) => generate::run(args, setup),
    }
}
