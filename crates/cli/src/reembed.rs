//! `docent reembed`: another embedder for documents that are in.

mod queries;
mod report;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use docent::{
    Embedder, Flip, Flipped, Library, ReembedOptions, Reembedded, VectorStoreId, catalog_embedder,
};
use indicatif::HumanBytes;

use self::report::Report;
use crate::add::progress::Progress;
use crate::args;
use crate::console::{Console, Unit, write_json};
use crate::outcome::{Outcome, WrongUsage};
use crate::setup::{Setup, Weights};
use crate::{interrupt, pull};

pub(crate) fn run(args: &args::Reembed, setup: &Setup) -> Result<Outcome> {
    let Some(new) = args.embedder.as_deref().or(setup.embedder_name()) else {
        let message = "--no-embedder leaves nothing to embed with; leave it out";
        return Err(WrongUsage(message.to_owned()).into());
    };
    let library = setup.existing(Weights::IfHere)?;
    let stores = stores(args, &library)?;
    if args.rollback {
        return roll_back(&stores, &library, setup);
    }
    if args.prune {
        return prune(&stores, &library, setup);
    }
    pull::pull(new, setup)?;
    let options = ReembedOptions {
        questions: match &args.queries {
            Some(path) => queries::read(path, &library)?,
            None => Vec::new(),
        },
        sample: args.sample.into(),
        min_overlap: args.min_overlap,
        flip: match (args.dry_run, args.yes) {
            (true, _) => Flip::Never,
            (_, true) => Flip::Always,
            _ => Flip::IfNotWorse,
        },
    };
    let embedder = catalog_embedder(new, &setup.catalog)?;
    reembed_all(args, &stores, embedder, &options, &library, setup)
}

fn reembed_all(
    args: &args::Reembed,
    stores: &[VectorStoreId],
    embedder: Arc<dyn Embedder>,
    options: &ReembedOptions,
    library: &Library,
    setup: &Setup,
) -> Result<Outcome> {
    let console = &setup.console;
    let (mut reports, mut refused) = (vec![], false);
    for store in stores {
        // With --all a store that is done, by an earlier try, is no reason to stop.
        if library.collections().store_vectors(*store)?.searched.as_ref()
            == Some(&embedder.spec().name)
            && args.all
        {
            console.note(format_args!("{store} is built with {} already", embedder.spec().name));
            continue;
        }
        let begun = Instant::now();
        let Some(done) = reembed(*store, &embedder, options, library, console)? else {
            console.note("stopped; the vectors made so far are kept: the same command goes on");
            return Ok(Outcome::Interrupted);
        };
        refused |= matches!(done.flipped, Flipped::Refused(_));
        let judged = !options.questions.is_empty();
        let report = Report { done: &done, judged, took: begun.elapsed() };
        match args.json {
            true => reports.push(report.json()),
            false => report.write(console)?,
        }
    }
    if args.json {
        write_json(&reports)?;
    }
    embed_waiting(library, console)?;
    Ok(match refused {
        true => Outcome::FoundWrong,
        false if interrupt::pressed() => Outcome::Interrupted,
        false => Outcome::Done,
    })
}

/// Those that were named, all, or else the one that documents are added to.
fn stores(args: &args::Reembed, library: &Library) -> Result<Vec<VectorStoreId>> {
    let known: Vec<VectorStoreId> =
        library.collections().vector_stores()?.into_iter().map(|store| store.id).collect();
    if args.all {
        return Ok(known);
    }
    if args.stores.is_empty() {
        return Ok(vec![library.vector_store()]);
    }
    let mut stores = vec![];
    for name in &args.stores {
        match name.parse() {
            Ok(id) if known.contains(&id) => stores.push(id),
            _ => bail!("there is no vector store {name} in {}", library.path().display()),
        }
    }
    Ok(stores)
}

fn reembed(
    store: VectorStoreId,
    embedder: &Arc<dyn Embedder>,
    options: &ReembedOptions,
    library: &Library,
    console: &Console,
) -> Result<Option<Reembedded>> {
    let bar = console.bar(0, Unit::Chunks);
    bar.set_message(embedder.spec().name.clone());
    let done = library.reembed(store, Arc::clone(embedder), options, &mut |progress| {
        bar.set_length(progress.chunks.max(progress.done));
        bar.set_position(progress.done);
        interrupt::flow()
    });
    bar.finish_and_clear();
    Ok(done?)
}

fn roll_back(stores: &[VectorStoreId], library: &Library, setup: &Setup) -> Result<Outcome> {
    for store in stores {
        let back = library.collections().roll_back(*store)?;
        setup.console.note(format_args!(
            "{store} is searched by the vectors of {} again, not by those of {}, which are kept",
            back.to, back.from
        ));
    }
    embed_waiting(library, &setup.console)?;
    Ok(if interrupt::pressed() { Outcome::Interrupted } else { Outcome::Done })
}

fn prune(stores: &[VectorStoreId], library: &Library, setup: &Setup) -> Result<Outcome> {
    let pruned = library.collections().prune_vectors(stores)?;
    setup.console.note(format_args!(
        "{} vectors dropped, {}; the library's file keeps its size and uses the room again",
        pruned.embeddings,
        HumanBytes(pruned.bytes)
    ));
    for name in pruned.in_use {
        setup.console.note(format_args!(
            "the vectors of {name} stay: another vector store has some; --all prunes every store"
        ));
    }
    Ok(Outcome::Done)
}

/// What waited for an embedder that was not here, or came in since the vectors that are searched
/// now were made.
fn embed_waiting(library: &Library, console: &Console) -> Result<()> {
    if interrupt::pressed() || library.collections().pending()? == 0 {
        return Ok(());
    }
    let mut progress = Progress::new(library, console)?;
    library.process(&mut |event| {
        progress.show(&event);
        interrupt::flow()
    })?;
    Ok(())
}
