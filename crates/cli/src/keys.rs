//! `docent keys`: who may ask a server, and for which project.

use std::io::Write;

use anyhow::Result;
use docent::store::{KeyEntry, KeyFile, check_project};
use docent::{Clock, SystemClock, Timestamp};
use serde::Serialize;

use crate::args;
use crate::console::{Align, Cell, Console, Table, write_json};
use crate::outcome::{Outcome, WrongUsage};
use crate::setup::Setup;

pub(crate) fn run(command: &args::Keys, setup: &Setup) -> Result<Outcome> {
    let keys = KeyFile::of(&setup.library);
    match command {
        args::Keys::Create { project, name } => create(&keys, project, name.as_deref(), setup),
        args::Keys::List { json } => list(&keys, *json, &setup.console),
        args::Keys::Revoke { key } => revoke(&keys, key, setup),
    }
}

fn create(keys: &KeyFile, project: &str, name: Option<&str>, setup: &Setup) -> Result<Outcome> {
    check_project(project).map_err(|error| WrongUsage(error.to_string()))?;
    setup.create_if_missing()?;
    let made = keys.create(project, name, SystemClock.now())?;
    writeln!(setup.console.out(), "{}", made.secret)?;
    setup.console.note(format_args!(
        "this key of the project {project} is shown only now; \"docent keys revoke {}\" takes it \
         back",
        made.entry.id
    ));
    Ok(Outcome::Done)
}

fn list(keys: &KeyFile, json: bool, console: &Console) -> Result<Outcome> {
    let keys = keys.read()?;
    if json {
        write_json(&keys.iter().map(Row::new).collect::<Vec<_>>())?;
        return Ok(Outcome::Done);
    }
    if keys.is_empty() {
        console.note("there are no keys; make one with \"docent keys create\"");
        return Ok(Outcome::Done);
    }
    let mut table = Table::new([
        ("Id", Align::Left),
        ("Project", Align::Left),
        ("Name", Align::Left),
        ("Made", Align::Left),
        ("Key", Align::Left),
    ]);
    for key in &keys {
        table.push(vec![
            Cell::new(&key.id),
            Cell::new(&key.project),
            Cell::new(key.label.as_deref().unwrap_or_default()),
            Cell::new(minute(key.created_at)),
            Cell::new(&key.hint),
        ]);
    }
    table.write(&mut console.out(), console.width())?;
    Ok(Outcome::Done)
}

fn revoke(keys: &KeyFile, key: &str, setup: &Setup) -> Result<Outcome> {
    if !setup.exists() {
        return Err(setup.no_library());
    }
    let revoked = keys.revoke(key)?;
    let KeyEntry { id, project, hint, .. } = &revoked;
    writeln!(setup.console.out(), "revoked {id} ({hint}) of the project {project}")?;
    Ok(Outcome::Done)
}

/// A time for people, in UTC.
fn minute(at: Timestamp) -> String {
    let at = i64::try_from(at.seconds()).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    at.map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    project: &'a str,
    name: Option<&'a str>,
    created_at: u64,
    key: &'a str,
}

impl<'a> Row<'a> {
    fn new(key: &'a KeyEntry) -> Self {
        Self {
            id: &key.id,
            project: &key.project,
            name: key.label.as_deref(),
            created_at: key.created_at.seconds(),
            key: &key.hint,
        }
    }
}
