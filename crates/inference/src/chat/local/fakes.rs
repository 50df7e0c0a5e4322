//! For tests: a small vocabulary, a network that says anything, and schemas made by chance.

use std::ops::ControlFlow;

use docent_core::Result;
use serde_json::{Map, Value, json};

use super::answering::Network;
use super::grammar::Vocabulary;
use super::sampler::Random;

/// Every byte, some longer tokens, and control tokens at the end.
#[derive(Debug)]
pub(super) struct Bytes {
    words: Vec<Vec<u8>>,
}

pub(super) const CONTROL: [&str; 3] = ["<|end|>", "<|user|>", "[TOOL_CALLS]"];

const LONGER: [&str; 12] = [
    "{\"",
    "\":",
    "\",\"",
    "\"}",
    "<|end|>",
    "<|user|>",
    "true",
    "null",
    "123",
    "ab",
    "<tool_call>",
    "\u{e9}\u{4e00}",
];

impl Bytes {
    pub(super) fn new() -> Self {
        let bytes = (0..=255u8).map(|byte| vec![byte]);
        let longer = LONGER.iter().map(|word| word.as_bytes().to_vec());
        Self { words: bytes.chain(longer).chain(CONTROL.iter().map(|_| Vec::new())).collect() }
    }

    pub(super) fn end(&self) -> u32 {
        self.control(CONTROL[0]).unwrap()
    }
}

impl Vocabulary for Bytes {
    fn size(&self) -> usize {
        self.words.len()
    }

    fn bytes(&self, token: u32) -> &[u8] {
        &self.words[token as usize]
    }

    fn ends(&self) -> &[u32] {
        const END: u32 = 256 + LONGER.len() as u32;
        &[END]
    }

    /// The longest token each.
    fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let fits = |(_, word): &(u32, &Vec<u8>)| !word.is_empty() && rest.starts_with(word);
            let words = (0u32..).zip(&self.words).filter(fits);
            let (token, word) = words.max_by_key(|(_, word)| word.len()).unwrap();
            tokens.push(token);
            rest = &rest[word.len()..];
        }
        tokens
    }

    fn control(&self, text: &str) -> Option<u32> {
        let at = CONTROL.iter().position(|control| *control == text)?;
        u32::try_from(256 + LONGER.len() + at).ok()
    }
}

/// Scores by chance, or those of a text.
pub(super) struct Babble {
    random: Random,
    size: usize,
    /// Tokens it says first.
    script: std::vec::IntoIter<u32>,
    /// The pieces it was given.
    pub(super) read: Vec<Vec<u32>>,
}

impl Babble {
    pub(super) fn new(vocabulary: &dyn Vocabulary, seed: u64, script: Vec<u32>) -> Self {
        let random = Random::new(seed);
        Self { random, size: vocabulary.size(), script: script.into_iter(), read: Vec::new() }
    }
}

impl Network for Babble {
    fn read_prompt(
        &mut self,
        prompt: &[u32],
        _go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>> {
        self.forward(prompt).map(Some)
    }

    fn forward(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.read.push(tokens.to_vec());
        let mut scores: Vec<f32> =
            (0..self.size).map(|_| self.random.next_share() as f32 * 4.0).collect();
        if let Some(token) = self.script.next() {
            scores[token as usize] = 100.0;
        }
        Ok(scores)
    }
}

/// A schema made by chance, always the same from the same seed. What it allows is short: under a
/// model that says anything, whatever may be long will be, and what holds itself (a list of lists)
/// will hold itself for ever.
pub(super) fn schema(seed: u64) -> Value {
    let mut maker = Maker { random: Random::new(seed), parts_left: 12 };
    let mut root = maker.object(3);
    root["$defs"] = json!({
        "point": {
            "type": "object",
            "properties": { "x": { "type": "integer", "minimum": -99, "maximum": 99 } },
            "required": ["x"],
            "additionalProperties": false
        },
        "way": {
            "type": "object",
            "properties": {
                "from": { "$ref": "#/$defs/point" },
                "to": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/point" }] }
            },
            "required": ["from", "to"],
            "additionalProperties": false
        }
    });
    root
}

const NAMES: [&str; 12] = [
    "name",
    "city",
    "größe",
    "名前",
    "two words",
    "a\"b",
    "back\\slash",
    "emoji😀",
    "x-1",
    "",
    "id",
    "line\nbreak",
];

const PATTERNS: [&str; 6] = [
    "^[A-Z]{2}-[0-9]{1,4}$",
    "^(red|green|blue)$",
    "^[a-z]{1,8}@[a-z]{1,5}\\.(com|org)$",
    "^\\d{3}$",
    "^[^\"\\\\\\s]{1,6}$",
    "^\u{4e00}?[\u{e0}-\u{ff}]{1,3}$",
];

const FORMATS: [&str; 10] =
    ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];

struct Maker {
    random: Random,
    parts_left: usize,
}

impl Maker {
    fn below(&mut self, most: usize) -> usize {
        (self.random.next_share() * most as f64) as usize
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn value(&mut self, depth: usize) -> Value {
        self.parts_left = self.parts_left.saturating_sub(1);
        let kinds = if depth == 0 || self.parts_left == 0 { 11 } else { 16 };
        match self.below(kinds) {
            0 => json!({ "type": "boolean" }),
            1 => self.integer(),
            2 => self.number(),
            3 => json!({ "type": "string", "maxLength": 1 + self.below(12) }),
            4 => json!({ "type": "string", "minLength": 1 + self.below(3), "maxLength": 6 }),
            5 => json!({ "type": "string", "pattern": self.one_of(&PATTERNS) }),
            6 => json!({ "type": "string", "pattern": "[0-9]x", "maxLength": 8 }),
            7 => {
                json!({ "type": "string", "format": self.one_of(&FORMATS), "maxLength": 40 })
            }
            8 => json!({ "enum": ["a", "b c", "\u{1f600}\"\n", 7, -2.5, null, [1, "x"]] }),
            9 => {
                json!({ "const": self.one_of(&["fixed", "\u{e9}t\u{e9}", "{\"not\": \"json\"}"]) })
            }
            10 => json!({ "type": ["integer", "null"], "minimum": 0, "maximum": 12 }),
            11 => json!({ "$ref": self.one_of(&["#/$defs/point", "#/$defs/way"]) }),
            12 => json!({ "anyOf": [self.value(depth - 1), self.value(depth - 1)] }),
            13 => self.array(depth - 1),
            14 => self.tuple(depth - 1),
            _ => self.object(depth - 1),
        }
    }

    fn integer(&mut self) -> Value {
        let least = self.below(100) as i64 - 50;
        let most = least + self.below(1000) as i64;
        match self.below(5) {
            0 => json!({ "type": "integer" }),
            1 => json!({ "type": "integer", "minimum": least }),
            2 => json!({ "type": "integer", "exclusiveMaximum": most }),
            3 => json!({ "type": "integer", "minimum": 0, "maximum": 100, "multipleOf": 5 }),
            _ => json!({ "type": "integer", "minimum": least, "maximum": most }),
        }
    }

    fn number(&mut self) -> Value {
        match self.below(4) {
            0 => json!({ "type": "number" }),
            1 => json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }),
            2 => json!({ "type": "number", "minimum": -0.5 }),
            _ => json!({ "type": "number", "minimum": -1.25, "maximum": 99.5 }),
        }
    }

    fn array(&mut self, depth: usize) -> Value {
        let least = self.below(3);
        let most = least + self.below(2);
        json!({
            "type": "array",
            "items": self.value(depth),
            "minItems": least,
            "maxItems": most
        })
    }

    fn tuple(&mut self, depth: usize) -> Value {
        json!({
            "type": "array",
            "prefixItems": [self.value(depth), { "type": "boolean" }],
            "items": false,
            "minItems": 1
        })
    }

    fn object(&mut self, depth: usize) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for _ in 0..1 + self.below(4) {
            let name = self.one_of(&NAMES);
            if properties.contains_key(name) {
                continue;
            }
            properties.insert(name.to_owned(), self.value(depth));
            if self.below(3) > 0 {
                required.push(name);
            }
        }
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false
        })
    }
}

/// Why `text` is not JSON of `schema`; formats count.
pub(super) fn fault(schema: &Value, text: &str) -> Option<String> {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return Some(error.to_string()),
    };
    let validator = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
    validator.iter_errors(&value).next().map(|error| error.to_string())
}
