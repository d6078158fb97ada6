"""Pages before Lighthouse. Its npm packages are in `.local/lighthouse`; this part installs them at its first use."""
