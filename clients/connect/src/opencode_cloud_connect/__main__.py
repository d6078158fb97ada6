"""``python -m opencode_cloud_connect``: the command ``opencode-cloud``."""

from opencode_cloud_connect.cli import main

if __name__ == "__main__":
    main()
