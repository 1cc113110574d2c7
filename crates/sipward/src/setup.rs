//! What `sipward setup` finds out and writes.
//!
//! | module | holds |
//! |---|---|
//! | `freeswitch` | where FreeSWITCH's configuration is, and the Event Socket's address and password in it |
//! | `hosts` | whom to propose for the allow list |
//! | `files` | what is written, and how it differs from what is there |

mod files;
mod freeswitch;
mod hosts;

pub use files::{Change, Written};
pub use freeswitch::{FreeSwitch, Layout};
pub use hosts::{registered, ssh_peers};
