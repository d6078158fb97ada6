"""From the folded items of a share to what a reader sees: transcript, HTML page, Markdown. Pure functions."""
