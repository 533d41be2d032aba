//! The values that labels can have.

use std::fmt::{self, Write};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// How a reconcile ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReconcileResult {
    /// Everything is as it should be.
    Success,
    /// A child is not there yet; its watch wakes us.
    Waiting,
    /// A request failed and will be tried again.
    Error,
    /// The user must act.
    Problem,
}

/// What was done to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionVerb {
    /// Applied it.
    Apply,
    /// Deleted it.
    Delete,
    /// Refused to touch it: it belongs to somebody else.
    Refuse,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionResult {
    /// The server accepted it, or there was nothing to send.
    Success,
    /// The server or the way to it failed.
    Error,
}

/// The Kubernetes verb of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the verbs of Kubernetes")]
pub enum RequestVerb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    Other,
}

/// How the server answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestCode {
    /// With this HTTP status.
    Status(u16),
    /// Not before the deadline.
    Timeout,
    /// Not at all: the connection failed or a layer refused.
    Error,
}

/// Writes a label value as the given text.
macro_rules! label_value {
    ($type:ty, $($variant:ident => $text:literal),+) => {
        impl EncodeLabelValue for $type {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                encoder.write_str(match self { $(Self::$variant => $text),+ })
            }
        }
    };
}
label_value!(ReconcileResult, Success => "success", Waiting => "waiting", Error => "error", Problem => "problem");
label_value!(ActionVerb, Apply => "apply", Delete => "delete", Refuse => "refuse");
label_value!(ActionResult, Success => "success", Error => "error");
label_value!(RequestVerb, Get => "get", List => "list", Watch => "watch", Create => "create", Update => "update",
    Patch => "patch", Delete => "delete", Other => "other");

impl EncodeLabelValue for RequestCode {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(encoder, "{status}"),
            Self::Timeout => encoder.write_str("timeout"),
            Self::Error => encoder.write_str("error"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReconcileLabels {
    pub(super) result: ReconcileResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ActionLabels {
    pub(super) kind: &'static str,
    pub(super) verb: ActionVerb,
    pub(super) result: ActionResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) verb: RequestVerb,
    pub(super) resource: String,
    pub(super) code: RequestCode,
}
