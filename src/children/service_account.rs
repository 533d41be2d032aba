//! One ServiceAccount for the pods of a portal. No token of the Kubernetes API is mounted.

use serde_json::json;

use super::{Child, Kind, Manifest};
use crate::plan::Plan;

pub(super) struct ServiceAccountChild;

static KIND: Kind = Kind {
    group: "",
    version: "v1",
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    wave: 0,
    optional: false,
    pruned: false,
};

impl Child for ServiceAccountChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let content = json!({"automountServiceAccountToken": false});
        let name = plan.identity.name.clone();
        vec![
            Manifest::of_portal(&KIND, plan, name, &content)
                .annotated(&plan.service_account_annotations),
        ]
    }
}
