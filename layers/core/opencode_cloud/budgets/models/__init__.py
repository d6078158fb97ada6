"""Types of budgets: the API's documents (`documents`), and thresholds that were reached (`thresholds`)."""
