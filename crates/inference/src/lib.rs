//! Runs models, or asks someone who does.
