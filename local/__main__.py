"""The local stage's command line: `python -m local dev|clean|lock|migration`; people type `make dev`."""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.status import Status

from local.demo import OWNER, PROVIDER, DemoFailed, seed
from local.demo_model import MODEL, DemoModel
from local.demo_model.offering import UPSTREAM, OfferRefused
from local.demo_model.offering import start as start_demo_model
from local.deployment import DeploymentFailed
from local.gallery import ensure
from local.hub import LAMBDA, RUNTIMES
from local.locks import write_locks
from local.mariadb import NoServer
from local.messages import update
from local.openapi import write as write_document
from local.operating import NotRunning, run_command
from local.processes import ProgramFailed
from local.provider_keys import take as take_provider_keys
from local.redaction_rules import write as write_redaction_rules
from local.revisions import write_revision
from local.settings import write as write_settings
from local.stack import LocalStack, PortTaken, StackBusy
from opencode_cloud.contracts.mail import Template
from opencode_cloud.mail.preview import preview

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local" / "dev"
TEST_STATE = ROOT / ".local" / "test"
LARGEST_PORT = 65_536


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Opencode Cloud on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    dev = commands.add_parser("dev", help="start everything and stay until Ctrl-C")
    dev.add_argument("--port", type=int, default=_port("PORT", 8787), help="port of the front door")
    dev.add_argument("--emulator-port", type=int, default=_port("EMULATOR_PORT", None), help="default: a free one")
    dev.add_argument("--no-quotas", action="store_true", help="disable AWS's limits (also NO_QUOTAS=1)")
    dev.add_argument(
        "--durability",
        choices=("disk", "process"),
        default=os.environ.get("DURABILITY") or "disk",
        help="what an acknowledged write survives: a power cut, or only a killed process (DURABILITY)",
    )
    dev.add_argument("--trust-proxy", action="store_true", help="trust a TLS proxy's x-forwarded-* (TRUST_PROXY=1)")
    dev.add_argument("--allowed-hosts", default=os.environ.get("ALLOWED_HOSTS", ""), help="more names (ALLOWED_HOSTS)")
    runtime = os.environ.get("SYNC_RUNTIME") or LAMBDA
    dev.add_argument("--sync-runtime", choices=RUNTIMES, default=runtime, help="where sharing runs (SYNC_RUNTIME)")
    dev.add_argument("--stripe-port", type=int, default=_port("STRIPE_PORT", 0), help="of the stand-in (STRIPE_PORT)")
    commands.add_parser("clean", help="stop everything and delete all data")
    commands.add_parser("lock", help="resolve the .in files and write the hash-locked lists")
    migration = commands.add_parser("migration", help="write a new version of the database's schema")
    migration.add_argument("name", help="what it does, such as add_invoices")
    commands.add_parser("messages", help="bring the catalogues of the pages' languages up to date")
    commands.add_parser("openapi", help="write docs/openapi.json")
    commands.add_parser("settings", help="write functions/settings.json")
    rules = commands.add_parser("redaction-rules", help="write the rules for secrets from gitleaks' configuration")
    rules.add_argument("source", type=Path, help="config/gitleaks.toml")
    rules.add_argument("version", help="gitleaks' version, such as v8.30.1")
    commands.add_parser("mail-preview", help="write every mail with made-up values to .local/mails")
    cloud = commands.add_parser("cloud", help="run the operators' command on the running stage")
    cloud.add_argument("arguments", nargs=argparse.REMAINDER, help="as of python -m opencode_cloud")
    options = parser.parse_args()
    match options.command:
        case "dev":
            develop(options)
        case "clean":
            clean()
        case "cloud":
            operate(options.arguments)
        case "openapi":
            write_document(ROOT)
        case "settings":
            write_settings(ROOT)
        case "redaction-rules":
            write_redaction_rules(options.source, options.version)
        case "mail-preview":
            preview_mails(ROOT / ".local" / "mails")
        case "messages":
            update(ROOT)
        case "migration":
            write_revision(ROOT, options.name)
        case _:
            write_locks(ROOT)


def clean() -> None:
    """Delete all data, including that of the tests' stacks."""
    for state in (STATE, TEST_STATE):
        if state.exists():
            LocalStack(state).forget()
    shutil.rmtree(STATE.parent, ignore_errors=True)


def operate(arguments: list[str]) -> None:
    """Run the operators' command on the stage of `make dev`."""
    try:
        run_command(ROOT, STATE, arguments)
    except NotRunning as error:
        sys.exit(str(error))


def preview_mails(folder: Path) -> None:
    """Write every mail with sample values into `folder`, as HTML and as text."""
    folder.mkdir(parents=True, exist_ok=True)
    for template in Template:
        mail = preview(template)
        (folder / f"{template}.html").write_text(mail.html)
        (folder / f"{template}.txt").write_text(f"Subject: {mail.subject}\n\n{mail.text}")
    Console(highlight=False).print(f"Written to {folder}")


def develop(options: argparse.Namespace) -> None:
    """Start the stack, print its URLs, wait for a signal, stop it."""
    console = Console(highlight=False)
    demo = os.environ.get("DEMO") == "1"
    # A shell that starts this program in the background ignores SIGINT.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    with console.status("Starting") as status:
        stack = LocalStack(
            STATE,
            root=ROOT,
            port=options.port,
            emulator_port=options.emulator_port,
            quotas=not (options.no_quotas or os.environ.get("NO_QUOTAS") == "1"),
            trust_proxy=options.trust_proxy or os.environ.get("TRUST_PROXY") == "1",
            allowed_hosts=tuple(options.allowed_hosts.split()),
            stage_file=Path(os.environ["STAGE_FILE"]).resolve() if os.environ.get("STAGE_FILE") else None,
            durability=options.durability,
            sync_runtime=options.sync_runtime,
            stripe_port=options.stripe_port if os.environ.get("BILLING") == "1" else None,
            report=lambda step: _report(console, status, step),
        )
        try:
            stack.start()
            keys = [name for name in take_provider_keys(stack, os.environ) if name != UPSTREAM]
            _report(console, status, "Looking for models that can answer")
            model = start_demo_model(stack, demo=demo, keys=bool(keys))
            if demo:
                _report(console, status, "Making the demo workspace")
                seed(stack, "" if keys else MODEL)
                ensure(stack.url, stack.state / "gallery")
        except (DemoFailed, DeploymentFailed, NoServer, OfferRefused, PortTaken, ProgramFailed, StackBusy) as error:
            console.print(f"\n[bold red]{type(error).__name__}[/]: ", end="")
            console.print(str(error), markup=False)
            sys.exit(1)
        except KeyboardInterrupt:
            console.print("Stopped before everything was up.")
            sys.exit(130)
    console.print(welcome(stack, keys, model))
    try:
        watch(stack, model)
    except ProgramFailed as error:
        console.print(str(error), style="bold red", markup=False)
        sys.exit(1)
    finally:
        # The state is being saved. A second Ctrl-C must not interrupt that.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with console.status("Saving and stopping"):
            stack.stop()
            if model:
                model.program.stop()
    console.print("Stopped. Everything is kept in .local: `make dev` continues, `make clean-local` forgets.")


def watch(stack: LocalStack, model: DemoModel | None) -> None:
    """Wait for SIGINT or SIGTERM; raise ProgramFailed when one of the programs ends by itself."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)
            stack.database.program.check()
            stack.mailbox.program.check()
            stack.emulator.check()
            stack.gateway.program.check()
            for program in (stack.hub.program, stack.stripe.program):
                if program.pid is not None:
                    program.check()
            stack.front_door.check()
            if model:
                model.program.check()


def welcome(stack: LocalStack, keys: Sequence[str], model: DemoModel | None) -> Panel:
    """Return the first instructions: URLs, and the configuration of a client."""
    demo = ""
    if os.environ.get("DEMO") == "1":
        gallery = f"{stack.url}{(stack.state / 'gallery').read_text()}"
        demo = (
            f"Demo          sign in as {OWNER}, who owns the workspace Demo\n"
            f"Gallery       {gallery} (a share with every kind of part)\n"
        )
    given = (
        f"with keys for {', '.join(keys)}"
        if keys
        else "no provider has a key yet: set OPENAI_API_KEY or another, or add one in the console"
    )
    scripted = f"              {MODEL} needs no key: it is a script on this machine\n" if model else ""
    tried = f"  opencode run -m {PROVIDER}/{MODEL} hello\n" if model else ""
    stripe = f"Stripe        {stack.stripe.url} (a stand-in: docs/stripe.md)\n" if stack.stripe.program.pid else ""
    return Panel(
        f"[bold]Opencode Cloud[/] is up at [link={stack.url}]{stack.url}[/]\n\n"
        "Point opencode at it, in opencode.json of a project or in ~/.config/opencode/opencode.json:\n\n"
        "  {\n"
        '    "$schema": "https://opencode.ai/config.json",\n'
        f'    "enterprise": {{"url": "{stack.url}"}}\n'
        "  }\n\n"
        "Then type /share in a session and open the link. Or log in, with any address:\n\n"
        f"  opencode console login {stack.url}\n"
        f"{tried}\n"
        f"Models        {stack.url}/zen/v1 ({given})\n"
        f"{scripted}"
        f"Console       {stack.url}/console\n"
        f"Mailbox       {stack.mailbox.url} (sign-in codes and all other mails end up here)\n"
        f"{demo}{stripe}AWS emulator  {stack.emulator_url} (region us-east-1, key and secret: test)\n"
        f"Logs          {stack.state / 'logs'}\n"
        "Ctrl-C stops; data stays in .local.",
        expand=False,
    )


def _report(console: Console, status: Status, step: str) -> None:
    if console.is_terminal:
        status.update(f"{step} ...")
    else:
        console.print(step)


def _port(name: str, default: int | None) -> int | None:
    value = os.environ.get(name)
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and int(value) < LARGEST_PORT):
        sys.exit(f"{name}={value} is no port. Choose a number below {LARGEST_PORT}: make dev {name}=<number>")
    return int(value)


if __name__ == "__main__":
    main()
