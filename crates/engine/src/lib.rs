//! Answers: the life of assistants, threads and runs.
