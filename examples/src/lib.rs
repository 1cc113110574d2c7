//! The examples live beside this file, one program each.
