"""The local stage: an AWS emulator, the real deployment, and a front door in CloudFront's place (`python -m local`)."""
