//! The programs are beside this folder, one for each use of the libraries. Those that need only the Event
//! Socket are part of its crate: `crates/esl/examples`.
