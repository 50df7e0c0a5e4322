//! The server over real HTTP, with a model that follows a script.

mod support;

mod basics;
mod chat;
mod code;
mod compatibility;
mod embeddings;
mod files;
mod images;
mod metrics;
mod objects;
mod pages;
mod patience;
mod projects;
mod runs;
mod statuses;
mod stores;
mod streams;
mod turns;
