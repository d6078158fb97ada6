"""The CDK app: `STAGE=<name> cdk deploy --all` (or `cdk -c stage=<name>`)."""

from infra.app import build

if __name__ == "__main__":
    build().synth()
