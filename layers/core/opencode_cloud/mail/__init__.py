"""Mail: templates, sending with retries, what became of each mail."""
