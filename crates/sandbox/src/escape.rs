//! Programs that try to get out.
