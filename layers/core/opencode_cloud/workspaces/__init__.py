"""Workspaces: members and their roles, invitations, domains, service accounts."""
