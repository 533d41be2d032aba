//! What tests against a real control plane share: the control plane ([`Bed`]), a namespace of one test ([`Space`]), an operator
//! in this process ([`Operator`]), and stand-ins for other projects' controllers ([`controllers`]).
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "each test file uses a part of it"
)]

pub mod bed;
pub mod controllers;
pub mod database;
pub mod history;
pub mod kinds;
pub mod operator;
pub mod process;
pub mod record;
pub mod samples;
pub mod sentences;
pub mod shape;
pub mod space;

pub use self::{
    bed::Bed,
    history::History,
    kinds::resource,
    operator::{Operator, OperatorOptions},
    record::Record,
    space::{Space, condition},
};
