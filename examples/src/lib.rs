//! The programs live beside this folder, one for each use of the libraries. Those that need the Event Socket
//! alone are part of its crate: `crates/esl/examples`.
