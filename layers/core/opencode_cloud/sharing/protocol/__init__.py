"""The agreement between clients and servers: items, frames, the fold of a log, secrets and tickets. Pure rules."""
