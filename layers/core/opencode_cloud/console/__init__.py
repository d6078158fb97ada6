"""The console: pages on which members view and manage their workspaces in a browser."""
