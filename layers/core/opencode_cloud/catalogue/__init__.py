"""Models with their prices, limits and routes: versioned data that the gateway reads and clients list."""
