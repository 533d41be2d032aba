//! The parts of other projects' APIs that the operator writes, cut by hand from their CRDs.

pub mod barman;
pub mod cert_manager;
pub mod cloudnative_pg;
pub mod gateway;
