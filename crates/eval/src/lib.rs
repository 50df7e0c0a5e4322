//! Says how good retrieval is, and whether a difference is real.
//!
//! ```no_run
//! # use std::{ops::ControlFlow, path::Path, sync::Arc};
//! # fn measure(collections: Arc<docent_retrieval::Collections>) -> docent_core::Result<()> {
//! use docent_eval::{Corpus, Dataset, Metric, Pipeline, Rankings, Report};
//!
//! let dataset = Dataset::read(Path::new("beir/scifact"), None)?;
//! let corpus = Corpus::build(collections, &dataset, &mut |_| ControlFlow::Continue(()))?.unwrap();
//! let pipeline = Pipeline::named("default").unwrap();
//! let on_query = &mut |_| ControlFlow::Continue(());
//! let rankings = Rankings::ask(&corpus, &dataset, &pipeline, on_query)?.unwrap();
//! let report = Report::new(&dataset, &pipeline, &rankings, &Metric::USUAL, corpus.notes());
//! println!("{:.3}", report.metrics["ndcg@10"]);
//! # Ok(())
//! # }
//! ```
//!
//! | to know | read |
//! |---|---|
//! | what a data set looks like | [`Dataset`] |
//! | how it becomes a vector store | [`Corpus`] |
//! | which ways to search there are | [`Pipeline`] |
//! | what the numbers mean | [`Metric`], [`Report`] |
//! | whether a difference is more than chance | [`Study`], [`compare`], [`significance`] |
//! | how to show it | [`markdown`], [`html`] |
//! | how to judge one's own documents | [`generate`] |

mod dataset;
mod metrics;

mod corpus;
mod cost;
mod pipeline;

mod cache;
mod comparison;
mod report;
pub mod significance;
mod study;

mod html;
mod markdown;

pub mod generate;

pub use cache::{ResultCache, ResultKey};
pub use comparison::{Comparison, FailOn, compare, correct};
pub use corpus::{BuildProgress, Corpus};
pub use cost::{directory_bytes, machine, resident_bytes};
pub use dataset::{Dataset, JudgedDocument, JudgedQuery, Split};
pub use html::html;
pub use markdown::markdown;
pub use metrics::{Grades, Metric};
pub use pipeline::{Pipeline, Rankings};
pub use report::{Circumstances, DatasetFacts, QueryFacts, Report};
pub use study::{Against, Average, Study};
