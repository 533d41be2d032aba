//! `DisruptionProtected`: every critical component has a disruption budget, and every budget would let a node drain now.

use super::{Finding, Subject};
use crate::{api::status::Verdict, children::live::Health, plan::database::POOLER_COMPONENT};

pub(super) fn judge(subject: &Subject) -> Finding {
    let finding = |status, reason| {
        Finding::new(
            status,
            reason,
            "a budget for every critical component, each with disruptionsAllowed ≥ 1",
            "PodDisruptionBudget.status.disruptionsAllowed",
        )
    };
    let mut observed = Vec::new();
    let pooler = subject
        .plan
        .database
        .pooler_with_budget()
        .map(|pooler| (&pooler.name, POOLER_COMPONENT));
    let mut budgets = Vec::new();
    for component in &subject.plan.components {
        let name = &component.object_name;
        if !component.disruption_budget {
            if component.critical {
                return finding(Verdict::False, "SingleReplica").message(format!(
                    "Deployment {name} runs a single pod, which no budget can protect; set scaling.minReplicas to 2 or more"
                ));
            }
            continue;
        }
        budgets.push((name, component.name.as_str()));
    }
    for (name, whose) in budgets.into_iter().chain(pooler) {
        let observation = subject.world.child("PodDisruptionBudget", name);
        let Some((
            Health::Budget {
                observed_generation,
                allowed,
                healthy,
                desired,
                ..
            },
            current,
        )) = observation.map(|observation| (&observation.health, observation.generation))
        else {
            return finding(Verdict::False, "BudgetMissing")
                .message(format!("PodDisruptionBudget {name} is not there"));
        };
        if *observed_generation < current {
            return finding(Verdict::Unknown, "NotObserved").message(format!(
                "PodDisruptionBudget {name} has not been evaluated yet"
            ));
        }
        observed.push(format!("{whose} {allowed}"));
        if *allowed < 1 {
            return finding(Verdict::False, "NoDisruptionAllowed")
                .observed(observed.join(", "))
                .message(format!(
                    "PodDisruptionBudget {name}: {healthy} of the {desired} pods it keeps are healthy, so no pod may be evicted; the condition Ready says what keeps them"
                ));
        }
    }
    finding(Verdict::True, "DisruptionsAllowed").observed(observed.join(", "))
}
