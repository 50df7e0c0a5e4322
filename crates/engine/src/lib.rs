//! Answers: the life of assistants, threads and runs.

mod assistants;
mod citations;
pub mod context;
mod engine;
mod history;
mod page;
mod passages;
mod question;
pub mod runs;
mod tables;
mod threads;
mod workers;

pub use assistants::NewAssistant;
pub use engine::{Engine, EngineOptions, EngineParts, Sharing};
pub use page::{Order, Page, PageRequest};
pub use runs::{MessageDelta, NewRun, RunEvent, RunStream, StepDelta, SubmittedOutput};
pub use threads::{NewMessage, NewThread};

#[cfg(test)]
mod tests;
