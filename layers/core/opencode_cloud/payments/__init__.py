"""Payments by Stripe: top-ups, refunds and disputes, booked in the ledger by its events (docs/stripe.md)."""
