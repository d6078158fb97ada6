"""Rules of deliveries: announcing, signing and sending."""
