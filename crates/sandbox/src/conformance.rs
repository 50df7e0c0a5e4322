//! What every sandbox does alike.
