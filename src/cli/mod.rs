//! The subcommands, one file each.

pub mod crd;
pub mod diff;
pub mod portals;
pub mod render;
pub mod run;
