"""Tables, the queue and the client of webhooks."""
