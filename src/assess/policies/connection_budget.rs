//! `ConnectionBudget`: all pods at their greatest number find a connection to the database, through the pooler where there is
//! one. The sum of what they may open is compared with what is there to be opened.

use super::{Finding, Subject};
use crate::{
    api::{database::PoolerMode, status::Verdict},
    plan::database::{Database, Managed, RESERVED_CONNECTIONS},
};

const OBJECTIVE: &str = "connections of all pods ≤ pool ≤ max_connections less reserve";

pub(super) fn judge(subject: &Subject) -> Finding {
    let finding = |status, reason| {
        Finding::new(
            status,
            reason,
            OBJECTIVE,
            "spec.database, spec.components[].scaling",
        )
    };
    let demand = &subject.plan.demand;
    let total = demand.total();
    let sum = demand
        .components
        .iter()
        .map(|(name, pods, each)| format!("{name} {pods}×{each}"))
        .collect::<Vec<_>>()
        .join(" + ");
    match &subject.plan.database {
        Database::None => {
            finding(Verdict::True, "NoDatabase").observed("the components use no database")
        }
        Database::External(external) => match external.max_connections {
            None => finding(Verdict::Unknown, "ExternallyManaged")
                .observed(format!("{sum} = {total}"))
                .message(
                    "the limit of an external database is not known; set database.external.maxConnections",
                ),
            Some(most) if total > most => finding(Verdict::False, "TooManyConnections")
                .observed(format!("{sum} = {total} of {most}"))
                .message(format!(
                    "the components may open {total} connections and the database has {most}; lower scaling.maxReplicas, or raise the limit of the database"
                )),
            Some(most) => finding(Verdict::True, "WithinBudget")
                .observed(format!("{sum} = {total} of {most}")),
        },
        Database::Managed(managed) => {
            let (observed, broken) = of_managed(managed, total);
            let observed = format!("{sum} = {total}{observed}");
            match broken {
                None => finding(Verdict::True, "WithinBudget").observed(observed),
                Some(message) => finding(Verdict::False, "TooManyConnections")
                    .observed(observed)
                    .message(message),
            }
        }
    }
}

/// What is there, and what breaks the budget.
fn of_managed(managed: &Managed, total: i32) -> (String, Option<String>) {
    let most = managed
        .parameters
        .get("max_connections")
        .and_then(|text| text.parse::<i32>().ok())
        .unwrap_or(0);
    let free = most - RESERVED_CONNECTIONS;
    let Some(pooler) = &managed.pooler else {
        let broken = (total > free).then(|| {
            format!(
                "the components may open {total} connections, and max_connections {most} less {RESERVED_CONNECTIONS} leaves {free}; raise database.managed.parameters.max_connections or lower scaling.maxReplicas"
            )
        });
        return (format!("; max_connections {most}"), broken);
    };
    let pool = pooler.instances * pooler.pool_size;
    let observed = format!(
        "; pool {}×{}; max_connections {most}",
        pooler.instances, pooler.pool_size
    );
    // By transaction, clients share connections: any number of them finds one in time.
    let broken = if pooler.mode == PoolerMode::Session && total > pool {
        Some(format!(
            "the components may open {total} connections and Pooler {} has {pool}; raise database.managed.pooler.poolSize or lower scaling.maxReplicas",
            pooler.name
        ))
    } else if pool > free {
        Some(format!(
            "Pooler {} may open {pool} connections, and max_connections {most} less {RESERVED_CONNECTIONS} leaves {free}; raise database.managed.parameters.max_connections or lower pooler.poolSize",
            pooler.name
        ))
    } else {
        None
    };
    (observed, broken)
}
