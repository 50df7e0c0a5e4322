//! `docent serve`: the library over HTTP, for programs written for OpenAI's clients.

use std::env;
use std::sync::Arc;

use anyhow::Result;
use docent_server::{ApiKeys, Server, ServerOptions};

use crate::args;
use crate::interrupt;
use crate::outcome::Outcome;
use crate::projects::LibraryProjects;
use crate::setup::Setup;

/// Where keys come from: an argument would be seen by everybody who may list processes.
const KEYS: &str = "DOCENT_API_KEY";

pub(crate) fn run(args: &args::Serve, setup: &Setup) -> Result<Outcome> {
    let keys = env::var(KEYS).unwrap_or_default();
    let options = ServerOptions {
        listen: args.listen,
        keys: ApiKeys::new(keys.split(',').map(str::trim)),
        ..ServerOptions::default()
    };
    let library = Arc::new(setup.create_for_clients()?);
    let projects = LibraryProjects::new(setup.clone(), library.clone());
    let server = Server::bind_projects(library.engine().clone(), Arc::new(projects), options)?;
    let stopper = server.stopper();
    setup.console.note(format_args!("listening on http://{}/v1", server.address()));
    interrupt::on_press(move || stopper.stop());
    server.run()?;
    interrupt::forget();
    Ok(Outcome::Done)
}
