"""Pages on which members see and run their workspaces: what the API offers, for people with a browser."""
