//! A file of pipelines: some written out, some the combinations of a grid.
//!
//! The grid is taken as plain TOML and each combination read as a `[[pipeline]]` would be, so that
//! whatever a pipeline may say a grid may say too.

use std::collections::HashSet;

use serde::Deserialize;
use toml::{Table, Value};

use super::Pipeline;

/// More would run for days.
const MOST: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    pipeline: Vec<Pipeline>,
    #[serde(default)]
    grid: Table,
}

/// The pipelines of a file, or what is wrong in it.
pub(super) fn parse(text: &str) -> Result<Vec<Pipeline>, String> {
    let file: File =
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let mut pipelines = file.pipeline;
    for combination in combinations(&file.grid)? {
        pipelines.push(
            Pipeline::deserialize(combination)
                .map_err(|error| format!("[grid]: {}", error.to_string().trim_end()))?,
        );
    }
    let mut names = HashSet::new();
    if let Some(twice) = pipelines.iter().find(|it| !names.insert(&it.name)) {
        return Err(format!("two pipelines are called {:?}", twice.name));
    }
    if pipelines.is_empty() {
        return Err("it has no [[pipeline]] and no [grid]".to_owned());
    }
    Ok(pipelines)
}

/// A table for each choice of one value from every list, the last key changing fastest.
fn combinations(grid: &Table) -> Result<Vec<Table>, String> {
    if grid.is_empty() {
        return Ok(vec![]);
    }
    let mut grown: Vec<(String, Table)> = vec![(String::new(), Table::new())];
    for (key, values) in grid {
        let (values, named): (&[Value], bool) = match values {
            _ if key == "name" => return Err("[grid] makes its names itself".to_owned()),
            Value::Array(values) if values.is_empty() => {
                return Err(format!("[grid]: the list of {key} is empty"));
            }
            Value::Array(values) => (values, true),
            single => (std::slice::from_ref(single), false),
        };
        if grown.len() * values.len() > MOST {
            return Err(format!("[grid] has more than {MOST} combinations"));
        }
        let one = |(name, table): &(String, Table), value: &Value| {
            let mut table = table.clone();
            table.insert(key.clone(), value.clone());
            (if named { format!("{name} {key}={}", shown(value)) } else { name.clone() }, table)
        };
        grown = grown.iter().flat_map(|from| values.iter().map(move |it| one(from, it))).collect();
    }
    let named = grown.into_iter().map(|(name, mut table)| {
        let name = if name.is_empty() { "grid" } else { name.trim_start() };
        table.insert("name".to_owned(), Value::String(name.to_owned()));
        table
    });
    Ok(named.collect())
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use docent_retrieval::SearchMode;

    use super::*;

    #[test]
    fn a_grid_is_every_combination_beside_what_is_written_out() {
        let text = "[[pipeline]]\nname = \"mine\"\n\
                    [grid]\nmode = [\"words\", \"hybrid\"]\ncandidates = [50, 200]\nrerank = 0\n";
        let pipelines = parse(text).unwrap();
        let names: Vec<&str> = pipelines.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "mine",
                "candidates=50 mode=words",
                "candidates=50 mode=hybrid",
                "candidates=200 mode=words",
                "candidates=200 mode=hybrid"
            ]
        );
        assert_eq!((pipelines[4].candidates, pipelines[4].mode), (200, SearchMode::Hybrid));
        assert!(pipelines[1..].iter().all(|it| it.rerank == 0));
    }

    #[test]
    fn what_is_wrong_in_a_grid_is_named() {
        let many = format!(
            "[grid]\ncandidates = [{}]",
            (1..600).map(|n| format!("{n},")).collect::<String>()
        );
        for (text, says) in [
            ("[grid]\nmode = [\"word\"]", "word"),
            ("[grid]\nmodes = [\"words\"]", "modes"),
            ("[grid]\nname = [\"a\"]", "names itself"),
            ("[grid]\nmode = []", "empty"),
            ("[grid]\nrerank = [1, 1]", "called"),
            (many.as_str(), "more than 500"),
            ("", "no [[pipeline]]"),
        ] {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.contains(says), "{text}: {wrong}");
        }
    }
}
