//! From spec to plan: profiles, presets, exposure, network, names and the revision.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backstage;
mod backup;
#[path = "../support/bounds.rs"]
mod bounds;
mod database;
#[path = "../support/examples.rs"]
mod examples;
mod exposure;
#[path = "../support/inputs.rs"]
mod inputs;
mod names;
mod network;
#[path = "../support/offline.rs"]
mod offline;
mod pods;
mod profiles;
mod revision;
#[path = "../support/schema.rs"]
mod schema;
