//! `ImagePinned`: every image is named by its digest, so that a rollback brings back what ran before.

use super::{Finding, Subject};
use crate::api::status::Verdict;

pub(super) fn judge(subject: &Subject) -> Finding {
    let loose: Vec<_> = subject
        .plan
        .components
        .iter()
        .filter(|component| !component.image.contains("@sha256:"))
        .map(|component| component.name.as_str())
        .collect();
    let finding = |status, reason| {
        Finding::new(
            status,
            reason,
            "every image is named by digest",
            "spec.image, spec.components[].image",
        )
    };
    if loose.is_empty() {
        finding(Verdict::True, "ByDigest")
    } else {
        finding(Verdict::False, "ByTag").message(format!(
            "what a tag names can change: {}; write the image as name@sha256:…",
            loose.join(", ")
        ))
    }
}
