//! Finds passages; keeps every index level with the log.
