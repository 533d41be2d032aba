//! The schedule of base backups, run by CloudNativePG.

use serde_json::json;

use super::{Child, Hold, Kind, Manifest};
use crate::{
    foreign::{
        barman::{PLUGIN, PluginConfiguration, ScheduledBackupSpec},
        cloudnative_pg::ClusterReference,
    },
    plan::{Plan, database::COMPONENT},
};

pub(super) struct ScheduledBackupChild;

static KIND: Kind = Kind {
    group: "postgresql.cnpg.io",
    version: "v1",
    kind: "ScheduledBackup",
    plural: "scheduledbackups",
    wave: 2,
    optional: true,
    pruned: true,
};

impl Child for ScheduledBackupChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let Some(backup) = plan.backup.as_ref().filter(|backup| backup.attached) else {
            return Vec::new();
        };
        let spec = ScheduledBackupSpec {
            cluster: ClusterReference {
                name: backup.name.clone(),
            },
            // CloudNativePG's schedules begin with seconds.
            schedule: format!("0 {}", backup.schedule.text()),
            immediate: true,
            // What is known of a backup stays as long as the data does, not only as long as the schedule.
            backup_owner_reference: "cluster",
            method: "plugin",
            plugin_configuration: PluginConfiguration { name: PLUGIN },
        };
        let mut manifest = Manifest::of_database(
            &KIND,
            plan,
            COMPONENT,
            backup.name.clone(),
            &json!({"spec": spec}),
        );
        // The first backup is made at once, and when it fails the next one is made by the schedule.
        manifest.held = (!backup.possible).then_some(Hold::Creation);
        vec![manifest]
    }
}
