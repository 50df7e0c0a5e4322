//! The server over real HTTP, with a model that follows a script.

mod support;

mod basics;
mod code;
mod compatibility;
mod files;
mod objects;
mod pages;
mod patience;
mod runs;
mod stores;
mod streams;
mod turns;
