//! Fetching a model, with a bar.

use anyhow::{Result, bail};
use docent::inference::{Manifest, ModelFiles, PullProgress};
use indicatif::{HumanBytes, ProgressBar};

use crate::console::{Console, Unit};
use crate::interrupt;
use crate::models::size;
use crate::setup::{Network, Setup};

/// The files of the model called `name`, fetched if they are not here.
pub(crate) fn pull(name: &str, setup: &Setup) -> Result<ModelFiles> {
    let manifest = setup.catalog.get(name)?;
    if let Some(files) = setup.catalog.locate(name) {
        return Ok(files);
    }
    let place = setup.catalog.cache_dir().join(name);
    if setup.network == Network::Offline {
        bail!(
            "{name} is not on this machine, and nothing is fetched offline; place its files in {} \
             by hand, or leave out --offline and DOCENT_OFFLINE",
            place.display()
        );
    }
    setup.console.note(format_args!(
        "fetching {name}{}, once, to {}; looking at {}",
        size(manifest).map_or(String::new(), |bytes| format!(" ({})", HumanBytes(bytes))),
        place.display(),
        sources(manifest)
    ));
    let mut bar = Bar::new(&setup.console);
    let files = setup.catalog.pull(name, &mut |progress| {
        bar.show(&progress);
        interrupt::flow()
    })?;
    Ok(files)
}

fn sources(manifest: &Manifest) -> String {
    let sources: Vec<String> = manifest.sources.iter().map(ToString::to_string).collect();
    sources.join(", then ")
}

/// One bar for each file that comes.
pub(crate) struct Bar<'a> {
    console: &'a Console,
    /// What the present bar is for.
    of: String,
    bar: Option<ProgressBar>,
}

impl<'a> Bar<'a> {
    pub(crate) fn new(console: &'a Console) -> Self {
        Self { console, of: String::new(), bar: None }
    }

    pub(crate) fn show(&mut self, progress: &PullProgress<'_>) {
        let of = format!("{} from {}", progress.file, progress.source);
        if self.bar.is_none() || self.of != of {
            self.clear();
            self.bar = Some(self.console.bar(progress.total_bytes, Unit::Bytes));
            self.of = of;
        }
        if let Some(bar) = &self.bar {
            bar.set_message(progress.file.to_owned());
            bar.set_length(progress.total_bytes);
            bar.set_position(progress.done_bytes);
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}
