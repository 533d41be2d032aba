//! Rules about changes: what protects the data of a live database from an edit.

use super::Rule;

/// Every rule that compares an object with what it was. The defaults in the expressions are those of the plan.
pub const TRANSITIONS: &[Rule] = &[
    Rule {
        at: "spec",
        rule: "(has(self.database) && has(self.database.mode) ? self.database.mode : 'Managed') == (has(oldSelf.database) && has(oldSelf.database.mode) ? oldSelf.database.mode : 'Managed')",
        message: "database.mode cannot be changed, since the data would not move along; make a second portal with the other mode and move the data",
        field: ".database",
    },
    Rule {
        at: "",
        rule: "(has(self.spec.database) && has(self.spec.database.mode) && self.spec.database.mode != 'Managed') || (has(self.spec.database) && has(self.spec.database.confirmDelete) && self.spec.database.confirmDelete == self.metadata.name) || (has(self.spec.database) && has(self.spec.database.reclaimPolicy) ? self.spec.database.reclaimPolicy == 'Retain' : !has(self.spec.profile) || self.spec.profile in ['Production', 'Staging']) || !(has(oldSelf.spec.database) && has(oldSelf.spec.database.reclaimPolicy) ? oldSelf.spec.database.reclaimPolicy == 'Retain' : !has(oldSelf.spec.profile) || oldSelf.spec.profile in ['Production', 'Staging'])",
        message: "with this change the data would be deleted with the portal; set database.reclaimPolicy: Retain, or database.confirmDelete to the name of the portal",
        field: ".spec.database",
    },
    Rule {
        at: "spec",
        rule: "quantity(has(self.database) && has(self.database.managed) && has(self.database.managed.storage) && has(self.database.managed.storage.size) ? string(self.database.managed.storage.size) : '20Gi').compareTo(quantity(has(oldSelf.database) && has(oldSelf.database.managed) && has(oldSelf.database.managed.storage) && has(oldSelf.database.managed.storage.size) ? string(oldSelf.database.managed.storage.size) : '20Gi')) >= 0",
        message: "database.managed.storage.size cannot become smaller: volumes only grow; its default is 20Gi",
        field: ".database",
    },
    Rule {
        at: "spec",
        rule: "!(has(oldSelf.database) && has(oldSelf.database.managed) && has(oldSelf.database.managed.storage) && has(oldSelf.database.managed.storage.walSize)) || (has(self.database) && has(self.database.managed) && has(self.database.managed.storage) && has(self.database.managed.storage.walSize) && quantity(string(self.database.managed.storage.walSize)).compareTo(quantity(string(oldSelf.database.managed.storage.walSize))) >= 0)",
        message: "database.managed.storage.walSize can neither be removed nor become smaller",
        field: ".database",
    },
    Rule {
        at: "spec",
        rule: "(has(self.database) && has(self.database.managed) && has(self.database.managed.imageName)) || (has(oldSelf.database) && has(oldSelf.database.managed) && has(oldSelf.database.managed.imageName)) || (has(self.database) && has(self.database.managed) && has(self.database.managed.version) ? self.database.managed.version : 17) >= (has(oldSelf.database) && has(oldSelf.database.managed) && has(oldSelf.database.managed.version) ? oldSelf.database.managed.version : 17)",
        message: "database.managed.version cannot be lowered: PostgreSQL reads no data of a newer version; its default is 17",
        field: ".database",
    },
];
