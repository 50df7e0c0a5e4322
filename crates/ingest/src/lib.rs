//! Hostile bytes into pages, pages into chunks.
