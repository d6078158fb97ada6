"""Part `many_streams`: hundreds of fast streams at once, ours beside LiteLLM's, and the pieces that come late."""
