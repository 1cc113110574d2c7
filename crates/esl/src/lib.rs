//! FreeSWITCH's Event Socket.
