"""The CDK app: `STAGE=<name> cdk deploy --all` (or `cdk -c stage=<name>`)."""

import sys

from infra.app import build
from infra.packaging import PackagingError
from infra.stage import InvalidStage

if __name__ == "__main__":
    try:
        build().synth()
    except (InvalidStage, PackagingError) as error:
        sys.exit(str(error))
