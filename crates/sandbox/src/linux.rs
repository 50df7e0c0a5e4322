//! Linux's own walls around CPython.
