//! An operator that runs developer portals to their policies, and shows which of them hold. Data flows one way:
//!
//! ```text
//!             watches ─▶ Index ─▶ queue                        (runtime/: the only long-lived tasks)
//!                           │
//! PortalPlatform ──▶ World ─▶ Plan ─▶ manifests ─▶ actions ─▶ outcomes ─▶ Status ─▶ publish
//!                  observe   plan    children     converge    apply      assess    the one status write
//!                  (index)   (pure)  (pure)       (pure)      (writes)   (pure)
//! ```

pub mod api;
pub mod apply;
pub mod assess;
pub mod children;
pub mod converge;
pub mod digest;
pub mod error;
pub mod foreign;
pub mod observe;
pub mod outcome;
pub mod plan;
pub mod publish;
pub mod reconcile;
pub mod recovery_point;

pub mod cli;
pub mod runtime;
pub mod settings;
pub mod yaml;
