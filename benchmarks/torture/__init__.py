"""Budget torture: many calls at once on one US dollar, with cancels, failures and a killed process."""
