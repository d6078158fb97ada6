"""All stacks of one stage."""

import json
from pathlib import Path
from typing import Any

from aws_cdk import App, CliCredentialsStackSynthesizer, Environment, Tags, Validations
from cdk_nag import AwsSolutionsChecks

from infra.stacks.backup import BackupStack
from infra.stacks.console import ConsoleStack
from infra.stacks.data import DataStack
from infra.stacks.database import DatabaseStack, beside_the_emulator
from infra.stacks.edge import EdgeStack
from infra.stacks.gateway import GatewayStack
from infra.stacks.hub import HubStack
from infra.stacks.observability import ObservabilityStack
from infra.stacks.sharing import SharingStack
from infra.stage import Stage, from_environment

CDK_JSON = Path(__file__).parent.parent / "cdk.json"


def build(stage: Stage | None = None, *, outdir: str | None = None, bundling: bool = True) -> App:
    """Return the app with the stacks of `stage`, by default the stage that context or environment select.

    Without `bundling` nothing is packaged: enough to read the templates.
    """
    # The CLI passes the context of cdk.json. A plain `python app.py` and tests do not.
    context = json.loads(CDK_JSON.read_text())["context"] | ({} if bundling else {"aws:cdk:bundling-stacks": []})
    app = App(context=context, outdir=outdir, analytics_reporting=False)
    chosen = stage or from_environment(_context(app))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    Tags.of(app).add("opencode-cloud:stage", chosen.name)
    prefix = f"opencode-cloud-{chosen.name}"
    data = DataStack(app, f"{prefix}-data", stage=chosen, **_options(chosen))
    sharing = SharingStack(app, f"{prefix}-sharing", stage=chosen, data=data, **_options(chosen))
    database = (
        beside_the_emulator(chosen)
        if chosen.local
        else DatabaseStack(app, f"{prefix}-database", stage=chosen, **_options(chosen)).access
    )
    planes = {"stage": chosen, "data": data, "sharing": sharing}
    gateway = GatewayStack(app, f"{prefix}-gateway", stage=chosen, data=data, **_options(chosen))
    console = ConsoleStack(app, f"{prefix}-console", **planes, database=database, **_options(chosen))
    contained = chosen.sync.runtime == "container"
    hub = HubStack(app, f"{prefix}-hub", **planes, **_options(chosen)) if contained else None
    alarms = None
    if chosen.watched:
        watched = {**planes, "console": console, "gateway": gateway, "hub": hub, "database": database}
        alarms = ObservabilityStack(app, f"{prefix}-observability", **watched, **_options(chosen)).alarms
    if chosen.backup.enabled:
        backup = BackupStack(app, f"{prefix}-backup", stage=chosen, data=data, alarms=alarms, **_options(chosen))
        backup.add_stack_dependency(console)
    if not chosen.local:
        EdgeStack(app, f"{prefix}-edge", **planes, gateway=gateway, hub=hub, alarms=alarms, **_options(chosen))
    return app


def _context(app: App) -> dict[str, str]:
    values = {key: app.node.try_get_context(key) for key in ("stage", "stage_file")}
    return {key: value for key, value in values.items() if isinstance(value, str)}


def _options(stage: Stage) -> dict[str, Any]:
    # The emulator enforces IAM, and its asset bucket refuses the roles of the CDK's default bootstrap.
    return {
        "env": Environment(account=stage.account, region=stage.region),
        "synthesizer": CliCredentialsStackSynthesizer() if stage.local else None,
        "termination_protection": stage.retain_data,
    }
