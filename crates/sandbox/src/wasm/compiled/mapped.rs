//! Mapping compiled code into memory.

use std::fs::File;

use wasmtime::{Engine, Module};

/// The module whose compiled code is in `file`.
///
/// It is private so that [`compiled`](super) is its only caller.
///
/// # Errors
/// If the file is of another version or another machine.
#[expect(unsafe_code, reason = "wasmtime cannot check native code, only whoever made it can")]
pub(super) fn module(engine: &Engine, file: File) -> wasmtime::Result<Module> {
    // SAFETY: the file holds what `Engine::precompile_module` of this version wrote, unchanged.
    // `compiled` keeps that: it wrote the file itself, in a folder that it found or made to be
    // ours alone, and has just compared its SHA-256 with the one it noted then, through this very
    // descriptor. Who could change the file after that is this user, who needs no sandbox's help.
    unsafe { Module::deserialize_open_file(engine, file) }
}
