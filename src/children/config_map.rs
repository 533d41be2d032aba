//! One ConfigMap a component with the variables that the preset sets, and one with the application's configuration file.

use serde_json::json;

use super::{Child, Kind, Manifest};
use crate::plan::{Plan, config::CONFIG_FILE};

pub(super) struct ConfigMapChild;

static KIND: Kind = Kind {
    group: "",
    version: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    wave: 0,
    optional: false,
    pruned: true,
};

impl Child for ConfigMapChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let environments = plan.components.iter().map(|component| {
            Manifest::of_component(
                &KIND,
                plan,
                component,
                &json!({"data": component.environment}),
            )
        });
        let app_config = plan.app_config.iter().map(|text| {
            Manifest::of_portal(
                &KIND,
                plan,
                plan.identity.app_config_name(),
                &json!({"data": {CONFIG_FILE: text}}),
            )
        });
        environments.chain(app_config).collect()
    }
}
