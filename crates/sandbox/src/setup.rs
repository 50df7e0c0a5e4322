//! Making the environment that programs run in.
