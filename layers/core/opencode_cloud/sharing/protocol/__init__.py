"""What clients and servers agree on: items, frames, the fold of a log, secrets and tickets. Pure rules."""
