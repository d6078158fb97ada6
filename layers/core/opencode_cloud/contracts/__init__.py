"""Value types, permissions and events by which features meet."""
