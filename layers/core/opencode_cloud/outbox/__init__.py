"""The transactional outbox: changes committed in MySQL reach the other planes, even when a process is killed."""
