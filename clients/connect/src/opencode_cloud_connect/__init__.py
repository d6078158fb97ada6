"""Connect coding agents to an Opencode Cloud server, and disconnect them. Standard library only."""
