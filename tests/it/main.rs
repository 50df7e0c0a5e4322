//! Journeys through the façade: what a user does, from a file to a cited answer.

mod support;

mod citations;
mod context;
mod conversations;
mod documents;
mod embedders;
mod indexes;
mod projects;
mod transfer;
mod upstreams;
