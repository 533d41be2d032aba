//! Parameters of `PostgreSQL`: which are derived from the memory and the demand, and which nobody can set.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Demand, SpecProblem,
    database::{Pooler, RESERVED_CONNECTIONS},
};
use crate::api::database::Managed;

/// PostgreSQL's own `checkpoint_timeout`.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(300);

/// What backups ask of `PostgreSQL`.
pub(super) struct Archiving {
    /// Longest time after which a segment of the log is finished: 30 s or more.
    pub(super) timeout: Duration,
    /// Whether dumps are made from a standby. What they read must not be vacuumed away on the primary meanwhile.
    pub(super) from_standby: bool,
}

/// Parameters that follow from memory and demand, and the user's, which win.
pub(super) fn plan(
    own: &Managed,
    pooler: Option<&Pooler>,
    demand: &Demand,
    megabytes: i32,
    archiving: &Archiving,
) -> BTreeMap<String, String> {
    let connections = pooler.map_or_else(
        || demand.total(),
        |pooler| pooler.pool_size * pooler.instances,
    );
    // Whole tens, so that a small change of the demand restarts nothing.
    let max_connections = ((connections + RESERVED_CONNECTIONS + 9) / 10 * 10).max(100);
    let mut parameters: BTreeMap<String, String> = [
        ("archive_timeout", time(archiving.timeout)),
        ("max_connections", max_connections.to_string()),
        ("shared_buffers", format!("{}MB", megabytes / 4)),
        ("effective_cache_size", format!("{}MB", megabytes * 3 / 4)),
        ("maintenance_work_mem", format!("{}MB", megabytes / 16)),
        // A standby looks for a new primary each second instead of each five: a commit waits for it after a failover.
        ("wal_retrieve_retry_interval", "1s".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    // A primary that starts may sleep through archive_timeout, for as long as this one.
    if archiving.timeout < CHECKPOINT_TIMEOUT {
        parameters.insert("checkpoint_timeout".into(), time(archiving.timeout));
    }
    if archiving.from_standby {
        parameters.insert("hot_standby_feedback".into(), "on".into());
    }
    parameters.extend(own.parameters.clone());
    parameters
}

/// A time as PostgreSQL writes it.
fn time(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds % 60 == 0 => format!("{}min", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// What CloudNativePG sets itself and refuses from others.
const FIXED_PARAMETERS: &str = "allow_system_table_mods archive_cleanup_command archive_command archive_mode bonjour \
    bonjour_name cluster_name config_file data_directory data_sync_retry event_source external_pid_file hba_file hot_standby \
    ident_file jit_provider listen_addresses log_destination log_directory log_file_mode log_filename log_rotation_age \
    log_rotation_size log_truncate_on_rotation logging_collector pg_failover_slots.primary_dsn \
    pg_failover_slots.standby_slot_names port primary_conninfo primary_slot_name promote_trigger_file recovery_end_command \
    recovery_min_apply_delay recovery_target recovery_target_action recovery_target_inclusive recovery_target_lsn \
    recovery_target_name recovery_target_time recovery_target_timeline recovery_target_xid restart_after_crash \
    restore_command shared_preload_libraries ssl ssl_ca_file ssl_cert_file ssl_crl_file ssl_dh_params_file ssl_ecdh_curve \
    ssl_key_file ssl_passphrase_command ssl_passphrase_command_supports_reload ssl_prefer_server_ciphers \
    stats_temp_directory synchronized_standby_slots synchronous_standby_names syslog_facility syslog_ident \
    syslog_sequence_numbers syslog_split_messages temp_tablespaces unix_socket_directories unix_socket_group \
    unix_socket_permissions";

/// Refuses what CloudNativePG would refuse.
pub(super) fn check(own: &Managed, problems: &mut Vec<SpecProblem>) {
    for name in own.parameters.keys() {
        let word = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
        };
        let message = if FIXED_PARAMETERS
            .split_whitespace()
            .any(|fixed| fixed == name)
        {
            "is set by CloudNativePG and cannot be chosen; remove it"
        } else if !name
            .split_once('.')
            .map_or_else(|| word(name), |(module, rest)| word(module) && word(rest))
        {
            "is no name of a parameter"
        } else {
            continue;
        };
        problems.push(SpecProblem {
            field: format!("spec.database.managed.parameters[{name}]"),
            message: message.into(),
        });
    }
}
