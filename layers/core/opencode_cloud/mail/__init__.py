"""Mail: templates, sending with retries, and the state of each mail."""
