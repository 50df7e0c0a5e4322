//! What is tried. The programs are the `.py` files beside this one; a row of a table calls one of
//! their functions.

mod bounds;
mod outward;

use std::time::Duration;

use super::{Attempt, Ends, Layer, kernel, limits};

/// A chapter: its name, its program's text, its rows.
struct Chapter(&'static str, &'static str, &'static [Row]);

/// A name, what it tries, the call, and the walls.
struct Row(&'static str, &'static str, &'static str, &'static [Layer]);

/// All attempts, those that a session survives first.
pub(super) fn all() -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = outward::CHAPTERS.iter().flat_map(rows).collect();
    attempts.extend(kernel::attempts());
    attempts.extend(rows(&outward::BORDER).map(crossing));
    attempts.extend(bounds::WELL.iter().flat_map(rows));
    let stopped = bounds::STOPPED.iter().flat_map(rows).map(short);
    attempts.extend(stopped.map(|attempt| Attempt { ends: Ends::Stopped, ..attempt }));
    let somehow = bounds::SOMEHOW.iter().flat_map(rows);
    attempts.extend(somehow.map(|attempt| Attempt { ends: Ends::Somehow, ..attempt }));
    let brief = bounds::BRIEF.iter().flat_map(rows).map(short);
    attempts.extend(brief.map(|attempt| Attempt { ends: Ends::Somehow, ..attempt }));
    attempts
}

fn rows(chapter: &Chapter) -> impl Iterator<Item = Attempt> + use<> {
    let Chapter(name, text, rows) = *chapter;
    rows.iter().map(move |Row(row, tries, call, layers)| {
        attempt(format!("{name}/{row}"), tries, format!("{text}\n\n{call}\n"), layers)
    })
}

/// An attempt that ends by itself and leaves the session as it was.
pub(super) fn attempt(
    name: String,
    tries: &str,
    program: String,
    layers: &'static [Layer],
) -> Attempt {
    let (tries, time) = (tries.to_owned(), limits().time);
    Attempt { name, tries, layers, program, ends: Ends::Well, crossing: &[], times: 1, time }
}

/// What may not end by itself has two seconds.
fn short(attempt: Attempt) -> Attempt {
    Attempt { time: Duration::from_secs(2), ..attempt }
}

/// The host reads and writes what the program left; what changes meanwhile, many times.
fn crossing(attempt: Attempt) -> Attempt {
    let changes = attempt.name.contains("race") || attempt.name.contains("growing");
    Attempt { crossing: outward::CROSSING, times: if changes { 150 } else { 1 }, ..attempt }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;

    #[test]
    fn every_attempt_has_a_name_of_its_own_and_a_wall() {
        let attempts = all();
        let names: BTreeSet<&str> = attempts.iter().map(|attempt| &*attempt.name).collect();
        assert_eq!(names.len(), attempts.len());
        assert!(attempts.iter().all(|attempt| !attempt.layers.is_empty()));
        assert!(names.iter().filter(|name| name.starts_with("kernel/")).count() >= 44);
    }

    fn walls(layers: &[Layer]) -> String {
        layers.iter().map(Layer::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The table of the document; calls to the kernel are told by what stops them.
    fn table() -> String {
        let mut rows = "| attempt | to | any of these stops it |\n|---|---|---|\n".to_owned();
        let mut calls: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for attempt in all() {
            let walls = walls(attempt.layers);
            if attempt.tries.starts_with("call ") && attempt.name.starts_with("kernel/") {
                let name = attempt.name.trim_start_matches("kernel/").to_owned();
                calls.entry(walls).or_default().push(format!("`{name}`"));
                continue;
            }
            rows += &format!("| {} | {} | {walls} |\n", attempt.name, attempt.tries);
        }
        for (walls, names) in calls {
            rows += &format!("| kernel/ | make the calls {} | {walls} |\n", names.join(" "));
        }
        rows
    }

    #[test]
    fn the_document_has_every_attempt() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
        let document = fs_err::read_to_string(&path).unwrap();
        let (head, rest) = document.split_once("docent-sandbox -->\n").unwrap();
        let (found, tail) = rest.split_once("<!-- end of attempts -->").unwrap();
        if found != table() && std::env::var_os("DOCENT_WRITE_DOCS").is_some() {
            let table = table();
            let whole = format!("{head}docent-sandbox -->\n{table}<!-- end of attempts -->{tail}");
            return fs_err::write(&path, whole).unwrap();
        }
        assert_eq!(found, table(), "DOCENT_WRITE_DOCS=1 writes the table anew");
    }
}
