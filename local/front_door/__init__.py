"""The front door: one port of the loopback interface that routes by path as CloudFront does in an AWS account."""
