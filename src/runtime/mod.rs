//! The running operator: watches, index, queue, leader election, endpoints. The only place with long-lived tasks.

pub mod backoff;
pub mod capabilities;
pub mod facts;
pub mod http;
pub mod index;
pub mod leader;
pub mod leader_gate;
pub mod leader_io;
pub mod metrics;
pub mod operator;
pub mod pod_status;
pub mod queue;
pub mod requests;
pub mod sampler;
pub mod samples;
pub mod sinks;
mod sources;
pub mod telemetry;
pub mod term;
pub mod watch;
