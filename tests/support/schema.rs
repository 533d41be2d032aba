//! The schema of the CRD.

use portal_operator::api;
use serde_json::Value;

/// The `openAPIV3Schema` of the CRD.
pub(crate) fn schema() -> Value {
    let crd = serde_json::to_value(api::crd()).expect("a CRD is plain data");
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}
