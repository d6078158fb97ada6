"""The transactional outbox: what is committed in MySQL reaches the other planes, also when a process is killed."""
