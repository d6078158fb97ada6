"""A simulation of one share with up to 100,000 viewers: latency, price, and the first limit, by runtime."""
