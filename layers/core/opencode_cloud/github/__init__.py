"""Issue tokens of our GitHub App to the GitHub agent of opencode."""
