"""Types of budgets: what people see and decide (`documents`), and thresholds that were reached (`alerts`)."""
