//! A library and its embedder: what it remembers, what a folder costs the second time, and another
//! embedder for documents that are in.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use docent::inference::Catalog;
use docent::{
    Added, Embedder, EmbedderSpec, Embedding, Flip, Flipped, InputRole, Library, ReembedOptions,
    Result,
};

use crate::support::{Home, process};

/// Vectors from letters; counts the passages.
#[derive(Clone, Debug)]
struct Letters {
    spec: EmbedderSpec,
    passages: Arc<AtomicUsize>,
}

impl Letters {
    fn new(dims: usize) -> Self {
        let spec = EmbedderSpec {
            name: format!("letters-{dims}"),
            fingerprint: format!("letters-{dims}-v1").parse().unwrap(),
            dims,
            window_tokens: 256,
            languages: vec![],
            cosines: Default::default(),
        };
        Self { spec, passages: Arc::default() }
    }

    fn embedded(&self) -> usize {
        self.passages.load(Ordering::SeqCst)
    }

    fn open(&self, home: &Home) -> Library {
        Library::builder(home.library()).own_embedder(Arc::new(self.clone())).open().unwrap()
    }
}

impl Embedder for Letters {
    fn spec(&self) -> &EmbedderSpec {
        &self.spec
    }

    fn embed(&self, texts: &[&str], role: InputRole) -> Result<Vec<Embedding>> {
        if role == InputRole::Passage {
            self.passages.fetch_add(texts.len(), Ordering::SeqCst);
        }
        let vector = |text: &&str| {
            let mut counts = vec![0.01f32; self.spec.dims];
            text.bytes().zip(text.bytes().skip(1)).for_each(|(a, b)| {
                counts[(usize::from(a) * 31 + usize::from(b)) % self.spec.dims] += 1.0;
            });
            let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt();
            counts.iter().map(|count| count / length).collect()
        };
        texts.iter().map(|text| Embedding::new(self.spec.dims, vector(text))).collect()
    }

    fn count_tokens(&self, texts: &[&str], _: InputRole) -> Result<Vec<usize>> {
        Ok(texts.iter().map(|text| text.split_whitespace().count()).collect())
    }
}

/// Were this to change, every library built with the model so far would count as built with
/// another, and have to be embedded anew.
#[cfg(feature = "local-models")]
#[test]
fn the_fingerprint_of_the_first_default_embedder_never_changes() {
    let spec = Catalog::builtin().get("all-MiniLM-L6-v2").unwrap().embedder_spec().unwrap();
    assert_eq!(spec.fingerprint.as_str(), "all-minilm-l6-v2-53aa5117-mean-w256-dafa00");
}

#[test]
fn a_library_remembers_its_embedder() {
    let home = Home::new();
    assert_eq!(Library::remembered_embedder(home.library()).unwrap(), None);
    let letters = Letters::new(64);
    let library = letters.open(&home);
    let _ = library.add(home.write("a.md", "The valve opens at eighty degrees.")).unwrap();
    drop(library);
    assert_eq!(Library::remembered_embedder(home.library()).unwrap(), None, "no vector yet");
    process(&letters.open(&home));
    let remembered = Library::remembered_embedder(home.library()).unwrap().unwrap();
    assert_eq!(remembered.name_in(&Catalog::builtin()).as_deref(), Some("letters-64"));
    assert_eq!(remembered.fingerprint.as_str(), "letters-64-v1");
    // Opened as anybody does, who has no such embedder: it says what to do, and words find.
    let library = Library::open(home.library()).unwrap();
    let reason = library.collections().no_vectors(library.vector_store()).unwrap().unwrap();
    assert!(reason.contains("was built with letters-64"), "{reason}");
    let found = library.search("valve", &Default::default()).unwrap();
    assert_eq!(found.hits.len(), 1);
    assert_eq!(found.trace.notes, [format!("vectors not used: {reason}")]);
    // Words alone were chosen: nothing to say.
    drop(library);
    let library = home.open();
    assert_eq!(library.collections().no_vectors(library.vector_store()).unwrap(), None);
}

#[test]
fn an_unchanged_folder_costs_no_embedding_and_a_changed_file_one() {
    const FILES: usize = 200;
    let home = Home::new();
    let letters = Letters::new(64);
    let text = |file: usize| format!("Note {file} tells of valve {file} and of pump {file}.");
    let names: Vec<String> = (0..FILES).map(|file| format!("{file}.md")).collect();
    let paths: Vec<_> =
        names.iter().enumerate().map(|(file, name)| home.write(name, &text(file))).collect();
    let add_all = |library: &Library| {
        let added: Vec<Added> = paths.iter().map(|path| library.add(path).unwrap()).collect();
        process(library);
        added.iter().filter(|it| matches!(it, Added::Unchanged(_))).count()
    };
    assert_eq!(add_all(&letters.open(&home)), 0);
    assert_eq!(letters.embedded(), FILES);
    assert_eq!(add_all(&letters.open(&home)), FILES);
    assert_eq!(letters.embedded(), FILES);
    home.write(&names[77], "Note 77 tells of something else altogether.");
    assert_eq!(add_all(&letters.open(&home)), FILES - 1);
    assert_eq!(letters.embedded(), FILES + 1);
}

#[test]
fn a_library_gets_another_embedder_and_goes_on_with_it() {
    let home = Home::new();
    let (old, new) = (Letters::new(64), Letters::new(96));
    let library = old.open(&home);
    for (name, text) in [
        ("a.md", "The valve opens at eighty degrees, says the manual."),
        ("b.md", "The pump runs dry when the tank is empty in winter."),
    ] {
        let _ = library.add(home.write(name, text)).unwrap();
    }
    process(&library);
    let store = library.vector_store();
    let reembed = |options: &ReembedOptions| {
        let on = &mut |_| ControlFlow::Continue(());
        library.reembed(store, Arc::new(new.clone()), options, on).unwrap().unwrap()
    };
    let dry = reembed(&ReembedOptions { flip: Flip::Never, ..Default::default() });
    assert_eq!((dry.flipped, dry.progress.made), (Flipped::NotAsked, 2));
    assert_eq!(dry.comparison.unwrap().new.first, 2);
    let done = reembed(&ReembedOptions { min_overlap: Some(0.5), ..Default::default() });
    assert_eq!((done.flipped, done.progress.made), (Flipped::Yes, 0));
    assert_eq!((done.from.as_deref(), done.to.as_str()), (Some("letters-64"), "letters-96"));
    drop(library);
    let remembered = Library::remembered_embedder(home.library()).unwrap().unwrap();
    assert_eq!(remembered.name.as_deref(), Some("letters-96"));
    let library = new.open(&home);
    let found = library.search("When does the valve open?", &Default::default()).unwrap();
    assert_eq!((found.hits[0].filename.as_str(), found.trace.notes), ("a.md", vec![]));
}

#[test]
fn vectors_that_find_less_are_refused_unless_wanted() {
    let home = Home::new();
    let good = Letters::new(96);
    let library = good.open(&home);
    for file in 0..40 {
        let text = format!("Room {file} holds {} chairs and {} lamps.", file * 7, file * 13 + 5);
        let _ = library.add(home.write(&format!("{file}.md"), &text)).unwrap();
    }
    process(&library);
    let store = library.vector_store();
    let reembed = |options: &ReembedOptions| {
        // One dimension tells nothing from anything.
        let bad = Arc::new(Letters::new(1));
        let on = &mut |_| ControlFlow::Continue(());
        library.reembed(store, bad, options, on).unwrap().unwrap().flipped
    };
    let Flipped::Refused(reason) = reembed(&ReembedOptions::default()) else {
        panic!("not refused")
    };
    assert!(reason.contains("the new vectors find"), "{reason}");
    let searched = || library.collections().store_vectors(store).unwrap().searched.unwrap();
    assert_eq!(searched(), "letters-96");
    let always = ReembedOptions { flip: Flip::Always, ..Default::default() };
    assert_eq!(reembed(&always), Flipped::Yes);
    assert_eq!(searched(), "letters-1");
}
