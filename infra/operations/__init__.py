"""Commands of `make` that work on a deployed stage, with the AWS credentials of the shell."""
