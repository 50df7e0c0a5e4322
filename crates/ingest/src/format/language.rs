//! Programming languages, as far as a name or a first line tells them.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! languages {
    ($($name:ident $text:literal: $($suffix:literal)*;)*) => {
        /// A language source code is written in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "a language's name says it")]
        pub enum Language { $($name),* }

        impl Language {
            /// The language whose files end in `suffix`, in lower case and without a dot.
            pub(crate) fn of_suffix(suffix: &str) -> Option<Self> {
                match suffix {
                    $($($suffix)|* => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for Language {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text),* })
            }
        }
    };
}

languages! {
    C "C": "c" "h";
    Cpp "C++": "cc" "cpp" "cxx" "hh" "hpp" "hxx";
    CSharp "C#": "cs";
    Css "CSS": "css" "scss" "less";
    Dart "Dart": "dart";
    Elixir "Elixir": "ex" "exs";
    Go "Go": "go";
    Haskell "Haskell": "hs";
    Java "Java": "java";
    JavaScript "JavaScript": "js" "mjs" "cjs" "jsx";
    Json "JSON": "json";
    Julia "Julia": "jl";
    Kotlin "Kotlin": "kt" "kts";
    Lua "Lua": "lua";
    Perl "Perl": "pl" "pm";
    Php "PHP": "php";
    Python "Python": "py" "pyi";
    R "R": "r";
    Ruby "Ruby": "rb";
    Rust "Rust": "rs";
    Scala "Scala": "scala";
    Shell "shell": "sh" "bash" "zsh" "fish";
    Sql "SQL": "sql";
    Swift "Swift": "swift";
    Tex "TeX": "tex" "sty" "cls" "bib";
    Toml "TOML": "toml";
    TypeScript "TypeScript": "ts" "mts" "tsx";
    Xml "XML": "xml" "xsl" "xsd" "svg";
    Yaml "YAML": "yaml" "yml";
    Zig "Zig": "zig";
}

impl Language {
    /// The language of a script whose first line names its interpreter.
    pub(crate) fn of_shebang(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("#!")?;
        let program = line.split(['/', ' ']).rfind(|word| !word.is_empty() && *word != "-S")?;
        let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        match name {
            "sh" | "bash" | "zsh" | "fish" | "dash" | "ksh" => Some(Self::Shell),
            "python" | "pypy" => Some(Self::Python),
            "node" | "deno" | "bun" => Some(Self::JavaScript),
            "perl" => Some(Self::Perl),
            "ruby" => Some(Self::Ruby),
            "php" => Some(Self::Php),
            "lua" => Some(Self::Lua),
            _ => None,
        }
    }
}
