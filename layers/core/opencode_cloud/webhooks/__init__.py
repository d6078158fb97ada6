"""The webhooks of workspaces: their messages, the signatures, and the log of deliveries."""
