//! Where source code may be cut, told by its layout.
//!
//! A grammar for each language would be exact, and would bring a parser in C for each. What nearly
//! all code shares needs none: what belongs to a function or a class is indented below its first
//! line, and a blank line or a closing line stands before the next one. Code that is not laid out
//! so is one block. A border in a wrong place, as within a text of several lines, costs nothing but
//! a chunk that begins there.

use std::ops::Range;

/// The blocks of `text` whose first lines are indented by `depth` characters or fewer.
/// They cover it.
pub(super) fn blocks(text: &str, depth: usize) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut before = Before::Blank;
    for line in text.split_inclusive('\n') {
        let code = line.trim();
        if code.is_empty() {
            before = Before::Blank;
        } else if indentation(line) <= depth {
            let closes = closes(code);
            if before != Before::Code && !closes && at > start {
                blocks.push(start..at);
                start = at;
            }
            before = if closes { Before::End } else { Before::Code };
        } else {
            before = Before::Code;
        }
        at += line.len();
    }
    if at > start {
        blocks.push(start..at);
    }
    blocks
}

/// The next deeper indentation in `text`; none if nothing is indented more than `depth`.
pub(super) fn inner_depth(text: &str, depth: usize) -> Option<usize> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(indentation).filter(|inner| *inner > depth).min()
}

/// What stands on the line before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Blank,
    End,
    Code,
}

fn indentation(line: &str) -> usize {
    line.chars().take_while(|c| matches!(c, ' ' | '\t')).count()
}

/// Whether a line closes or continues the block above it.
fn closes(code: &str) -> bool {
    let word = code.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    code.starts_with(['}', ')', ']', '{'])
        || matches!(word, "end" | "else" | "elif" | "elsif" | "except" | "finally" | "catch")
        || matches!(word, "rescue" | "ensure" | "fi" | "done" | "esac")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, depth: usize) -> Vec<&str> {
        blocks(text, depth).into_iter().map(|block| &text[block]).collect()
    }

    #[test]
    fn functions_and_classes_are_blocks_with_what_stands_above_them() {
        let python = "import os\nimport re\n\n# Says hello.\n@once\ndef hello():\n    a = 1\n\n    return a\n\nclass Sea:\n    def tide(self):\n        pass\n\n    def wave(self):\n        pass\n";
        let found = of(python, 0);
        assert_eq!(found.concat(), python);
        let firsts: Vec<&str> = found.iter().filter_map(|block| block.lines().next()).collect();
        assert_eq!(firsts, ["import os", "# Says hello.", "class Sea:"]);
        let class = found[2];
        assert_eq!(inner_depth(class, 0), Some(4));
        assert_eq!(of(class, 4).len(), 2);
    }

    #[test]
    fn braces_and_continuations_end_and_do_not_begin_a_block() {
        let rust =
            "fn a()\n{\n    one();\n}\nfn b() {\n    if x {\n    }\n\n    else {\n    }\n}\n";
        assert_eq!(of(rust, 0).len(), 2);
        assert_eq!(of("no end", 0), ["no end"]);
        assert!(of("", 0).is_empty());
    }
}
