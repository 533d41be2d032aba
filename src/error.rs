//! What a failed request means, and who can mend it.

use std::time::Duration;

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The user or the cluster's administrator must act; trying again at leisure finds out when they have.
    UserMustAct,
    /// It passes by itself.
    Retry {
        /// How long the server asked to wait.
        after: Option<Duration>,
    },
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who can mend it.
    pub disposition: Disposition,
    /// Short cause, for the condition's reason.
    pub reason: &'static str,
    /// What the server or the transport said.
    pub message: String,
}

impl Failure {
    /// Reads a client error.
    #[must_use]
    pub fn of(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self {
                disposition: Disposition::Retry { after: None },
                reason: "ApiUnavailable",
                message: error.to_string(),
            };
        };
        let after = status
            .details
            .as_ref()
            .map(|details| u64::from(details.retry_after_seconds))
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs);
        let (disposition, reason) = match status.code {
            403 if status.message.contains("exceeded quota") => {
                (Disposition::UserMustAct, "QuotaExceeded")
            }
            403 => (Disposition::UserMustAct, "Forbidden"),
            400 | 404 | 405 | 413 | 415 | 422 => (Disposition::UserMustAct, "Refused"),
            409 => (Disposition::Retry { after }, "Conflict"),
            429 => (Disposition::Retry { after }, "TooManyRequests"),
            _ => (Disposition::Retry { after }, "ApiUnavailable"),
        };
        Self {
            disposition,
            reason,
            message: status.message.clone(),
        }
    }
}
