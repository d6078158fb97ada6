"""A local stage in one state folder, for `make dev` and tests: database, emulator, deployment, gateway, front door."""

import fcntl
import json
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from local import selling
from local.database import Durability, LocalDatabase
from local.deployment import CREDENTIALS, REGION, Deployment, DeploymentFailed
from local.gateway import LocalGateway
from local.hub import CONTAINER, LAMBDA, LocalHub
from local.mailbox import Mailbox
from local.processes import READY_SECONDS, Program, ProgramFailed, accepts, clean_environment, free_port, is_free
from local.stripe import StripeStandIn

LOCK = "lock"
"""The lock file of a state folder."""

SAVE_SECONDS = 120.0


class StackBusy(Exception):
    """Another program uses this state folder. The message names the folder."""


class PortTaken(Exception):
    """Another program uses a port. The message says what to do."""


class LocalStack:
    """A private deployment of everything, on ports of the loopback interface.

    Ports are kept in the state folder, because the deployed templates name the emulator's. As a context manager it
    starts and stops.
    """

    def __init__(
        self,
        state: Path,
        *,
        root: Path | None = None,
        port: int | None = None,
        emulator_port: int | None = None,
        quotas: bool = True,
        trust_proxy: bool = False,
        allowed_hosts: tuple[str, ...] = (),
        template: Path | None = None,
        stage_file: Path | None = None,
        durability: Literal["disk", "process"] = "disk",
        sync_runtime: str = LAMBDA,
        stripe_port: int | None = None,
        database_options: tuple[str, ...] = (),
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Use `state` for all files.

        Args:
            state: Folder of this stack alone; what it holds from before is continued.
            root: The checkout; by default the one this file is in.
            port: Of the front door; None takes a free one.
            emulator_port: None takes the one of the last time, or a free one.
            quotas: Whether the front door keeps AWS's limits.
            trust_proxy: Whether `x-forwarded-*` headers of requests are believed.
            allowed_hosts: Names by which clients reach the front door, beside those of the loopback interface.
            template: Folder that keeps the stage as it was deployed, without data: an empty `state` begins as a copy.
            stage_file: Settings of the stage in place of `infra/stages/local.toml`.
            durability: What an acknowledged write survives: a power cut, or only the end of the emulator's process.
            sync_runtime: Where sharing runs: `lambda`, or `container` for the hub.
            stripe_port: Port of the stand-in for Stripe; 0 takes a free one, None starts none.
            database_options: More options of the database's server.
            report: Gets a few words at the start of each step.
        """
        self.root = root or Path(__file__).resolve().parent.parent
        self.state = state.resolve()
        self.state.mkdir(parents=True, exist_ok=True)
        self.state.chmod(0o700)
        self._report = report
        self._quotas = quotas
        self._trust_proxy = trust_proxy
        self._allowed_hosts = allowed_hosts
        self._template = template
        self._stage_file = stage_file
        self._durability: Durability = durability
        self._contained = sync_runtime == CONTAINER
        self._with_stripe = stripe_port is not None
        self._wanted = (port, emulator_port)
        self._clients: dict[str, Any] = {}
        self._lock: IO[str] | None = None
        self.port = port or 0
        self.emulator_port = emulator_port or 0
        self.database = LocalDatabase(self.state, self.root)
        self._database_options = database_options
        self.mailbox = Mailbox(self.state, self.root)
        self.gateway = LocalGateway(self.state, self.root)
        self.hub = LocalHub(self.state, self.root)
        self.stripe = StripeStandIn(self.state, self.root, stripe_port or 0)
        self.emulator = Program("emulator", self.state / "run", self.state / "logs")
        self.front_door = Program("front-door", self.state / "run", self.state / "logs")

    @property
    def url(self) -> str:
        """URL of the front door."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def emulator_url(self) -> str:
        """URL of the emulator: AWS's API, for the root user `test`."""
        return self.deployment.endpoint

    @property
    def deployment(self) -> Deployment:
        """The deployment to this emulator."""
        database = self.database.access.environment()
        settings = self._stage_file
        if self._with_stripe:
            settings = selling.stage_file(self.state, self.stripe, settings)
        return Deployment(self.root, self.state, self.emulator_port, settings, database)

    @property
    def outputs(self) -> dict[str, str]:
        """Outputs of all CloudFormation stacks by name, `SharesTableName` and so on."""
        return self.deployment.outputs()

    def client_settings(self) -> dict[str, Any]:
        """Return the arguments that point a boto3 client at the emulator, as root."""
        return {
            "endpoint_url": self.emulator_url,
            "region_name": REGION,
            "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        }

    def client(self, service: str) -> Any:
        """Return a boto3 client of the emulator's `service`, as root. There is one per service."""
        if service not in self._clients:
            make: Any = import_module("boto3").client
            patient: Any = import_module("botocore.config").Config(read_timeout=READY_SECONDS)
            self._clients[service] = make(service, **self.client_settings(), config=patient)
        return self._clients[service]

    @property
    def emulator_pid(self) -> int:
        """Process id of the emulator. The functions' workers are its children."""
        if self.emulator.pid is None:
            raise RuntimeError("the stack is not running")
        return self.emulator.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything; deploy only changed stacks.

        Raises:
            StackBusy: The folder is in use.
            PortTaken: A wanted port is in use.
            NoServer: This machine has no MariaDB, and none could be fetched.
            ProgramFailed: Database, emulator, gateway or front door did not start.
            DeploymentFailed: The CDK failed.
        """
        self._take_folder()
        try:
            self._stop_leftovers()
            self._begin_from_template()
            self._choose_ports()
            self.start_database()
            self.start_mailbox()
            if self._with_stripe:
                self.start_stripe()
            self.start_emulator()
            deployed = self._deploy_changes()
            migrated = self._migrate_new_database()
            if deployed or migrated:
                self._keep_as_template()
            self.start_gateway()
            if self._contained:
                self.start_hub()
            self.start_front_door()
            if self._with_stripe:
                self.connect_stripe()
        except BaseException:
            self.stop()
            raise

    def attach(self) -> None:
        """Attach to the stack that another process has started in this folder. Only that process stops it."""
        ports = self._read_ports()
        self.port, self.emulator_port = ports["port"], ports["emulator"]
        self.gateway.port, self.mailbox.port = ports["gateway"], ports["mailbox"]
        self.hub.port, self.stripe.port = ports["hub"], ports.get("stripe", 0)

    def stop(self) -> None:
        """Stop everything cleanly, and save the state."""
        self.front_door.stop()
        self.hub.program.stop()
        self.gateway.program.stop()
        self.emulator.stop()
        shutil.rmtree(self.state / "scratch", ignore_errors=True)
        self.stripe.program.stop()
        self.mailbox.program.stop()
        self.database.stop()
        self._leave_folder()

    def kill(self) -> None:
        """SIGKILL everything, including workers of functions, as a power cut would. No state is saved."""
        self.emulator.kill()
        self.front_door.kill()
        self.gateway.program.kill()
        self.hub.program.kill()
        self.stripe.program.kill()
        self.mailbox.program.kill()
        self.database.kill()
        self._leave_folder()

    def forget(self) -> None:
        """Delete data and deployment. Stop programs that an earlier run left running.

        Raises:
            StackBusy: The folder is in use.
        """
        self._take_folder()
        try:
            self._stop_leftovers()
            for path in self.state.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != LOCK:
                    path.unlink()
        finally:
            self._leave_folder()

    def restart(self) -> None:
        """Stop (unless killed) and start again, on the same ports."""
        self.stop()
        self._wanted = (self.port, self.emulator_port)
        self.start()

    def save(self) -> None:
        """Have the emulator save its whole state now."""
        request = urllib.request.Request(f"{self.emulator_url}/_local/save", method="POST")  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=SAVE_SECONDS):  # noqa: S310 - our own
            pass

    def start_database(self) -> None:
        """Start MariaDB, and wait until it answers."""
        self._report("Starting the database")
        self.database.start(*self._database_options, durability=self._durability)

    def start_mailbox(self) -> None:
        """Start the mailbox."""
        self._report("Opening the mailbox")
        self.mailbox.start()

    def start_stripe(self) -> None:
        """Start the stand-in for Stripe."""
        self._report("Starting the stand-in for Stripe")
        self.stripe.start()

    def connect_stripe(self) -> None:
        """Make the stage sell credit by the stand-in, which begins empty."""
        selling.forget_customers(self.database)
        selling.connect(self.stripe, self.url, self.client("secretsmanager"), self.outputs["StripeSecretArn"])

    def start_emulator(self) -> None:
        """Start MiniStack behind our launcher, and wait until it answers."""
        self._report("Starting the emulator")
        python = self.root / ".tools/ministack/bin/python"
        command = [str(python), "-m", "local.emulator.launcher", "--with-parent"]
        command += ["--port", str(self.emulator_port), "--state", str(self.state / "emulator")]
        command += ["--durability", self._durability]
        mailbox = {"SMTP_HOST": f"127.0.0.1:{self.mailbox.smtp_port}"}
        mailbox |= {"TMPDIR": str(self._renew_scratch())}
        environment = clean_environment(**CREDENTIALS, AWS_DEFAULT_REGION=REGION, AWS_REGION=REGION, **mailbox)
        self.emulator.start(command, environment, self.root)
        self.emulator.wait_until(lambda: accepts(self.emulator_port), READY_SECONDS)

    def _renew_scratch(self) -> Path:
        """Return an empty folder for unpacked code of functions, which the emulator would leave behind."""
        scratch = self.state / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        return scratch

    def start_gateway(self) -> None:
        """Start the gateway, and wait until it listens."""
        self._report("Starting the gateway")
        describe = self.client("lambda").get_function_configuration
        self.gateway.start(describe(FunctionName=self.outputs["GatewayFunctionName"]), self.client_settings())
        self._keep_ports()

    def start_hub(self) -> None:
        """Start the hub, and wait until it listens."""
        self._report("Starting the hub")
        describe = self.client("lambda").get_function_configuration
        self.hub.start(describe(FunctionName=self.outputs["HubFunctionName"]), self.client_settings())
        self._keep_ports()

    def start_front_door(self) -> None:
        """Start the front door, and wait until the functions behind it answer."""
        self._report("Opening the front door")
        if self._wanted[0] is None and not is_free(self.port):
            # During the deployment another stack may have taken the port. No deployed resource names it.
            self.port = free_port()
            self._keep_ports()
        outputs = self.outputs
        command = [sys.executable, "-m", "local.front_door", "--with-parent", "--port", str(self.port)]
        command += ["--http-url", outputs["HttpUrl"], "--websocket-url", outputs["WebSocketUrl"]]
        command += ["--gateway-url", self.gateway.url]
        command += ["--hub-url", self.hub.url] if self._contained else []
        command += ["--aws-endpoint", self.emulator_url, "--site-bucket", outputs["SiteBucketName"]]
        command += [] if self._quotas else ["--no-quotas"]
        command += ["--trust-proxy"] if self._trust_proxy else []
        command += [option for name in self._allowed_hosts for option in ("--allow-host", name)]
        read_secret = self.client("secretsmanager").get_secret_value
        origin = {"ORIGIN_SECRET": read_secret(SecretId=outputs["OriginSecretArn"])["SecretString"]}
        environment = clean_environment(**CREDENTIALS, **origin, AWS_DEFAULT_REGION=REGION)
        self.front_door.start(command, environment, self.root)
        self.front_door.wait_until(lambda: accepts(self.port), READY_SECONDS)
        self._wait_for_functions()

    def _wait_for_functions(self) -> None:
        """Request /health until it succeeds. The first call also starts the function's first worker."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=READY_SECONDS):  # noqa: S310 - our own
                    self.front_door.check()
                    return
            except (urllib.error.URLError, OSError) as error:
                # If it has ended, another program answers at its port.
                self.front_door.check()
                if time.monotonic() > deadline:
                    raise ProgramFailed(f"{self.url}/health does not answer: {error}") from error
                time.sleep(0.2)

    def _deploy_changes(self) -> bool:
        """Deploy if a source has changed; return whether that was needed."""
        deployment = self.deployment
        if deployment.is_current():
            return False
        if not deployment.is_bootstrapped():
            self._report("Bootstrapping the CDK")
            deployment.bootstrap()
            self.save()
            deployment.remember_bootstrap()
        self._report("Deploying (unchanged stacks are skipped)")
        # Read before the deployment, so that a concurrent edit is deployed the next time.
        fingerprint = deployment.fingerprint()
        deployment.forget()
        deployment.deploy()
        self.save()
        deployment.remember(fingerprint)
        return True

    def _migrate_new_database(self) -> bool:
        """Create the tables of an empty database, because CloudFormation may see no change.

        Raises:
            DeploymentFailed: The function that migrates says why.
        """
        if not self.database.is_new:
            return False
        answer = self.client("lambda").invoke(FunctionName=self.outputs["MigrateFunctionName"])
        if "FunctionError" in answer:
            raise DeploymentFailed(f"The database could not be migrated: {answer['Payload'].read().decode()}")
        return True

    def _stop_leftovers(self) -> None:
        started = (self.front_door, self.hub.program, self.gateway.program, self.emulator)
        started += (self.stripe.program, self.mailbox.program, self.database.program)
        for program in started:
            program.stop_leftover()

    def _begin_from_template(self) -> None:
        if self._template and self._template.exists() and not (self.state / "emulator").exists():
            shutil.copytree(self._template, self.state, dirs_exist_ok=True)
            self.database.forget_other_schema()

    def _keep_as_template(self) -> None:
        """Keep a copy of the saved state. No client was admitted yet, so it contains no data."""
        if self._template is None:
            return
        draft = self._template.with_suffix(f".{self.emulator_pid}")
        self.database.stop()  # the files of a running server are not a consistent copy
        self.database.note_schema()
        shutil.copytree(self.state, draft, ignore=shutil.ignore_patterns("run", "logs", "scratch", LOCK))
        shutil.rmtree(self._template, ignore_errors=True)
        try:
            draft.rename(self._template)
        except OSError:  # another run has just made the same template
            shutil.rmtree(draft)
        self.database.start(*self._database_options, durability=self._durability)

    def _choose_ports(self) -> None:
        remembered = self._read_ports()
        wanted, wanted_emulator = self._wanted
        self.port = wanted or _first_free(remembered.get("port"))
        self.emulator_port = wanted_emulator or _first_free(remembered.get("emulator"))
        self.gateway.choose_port(remembered.get("gateway"))
        self.hub.choose_port(remembered.get("hub"))
        if self._with_stripe and not self.stripe.port:
            # The deployed settings name it.
            self.stripe.port = _first_free(remembered.get("stripe"))
        named = [(self.port, "PORT"), (self.emulator_port, "EMULATOR_PORT"), (self.stripe.port, "STRIPE_PORT")]
        for port, name in named:
            if port and not is_free(port):
                raise PortTaken(
                    f"Port {port} of 127.0.0.1 is in use by another program. Choose one: make dev {name}=<number>"
                )
        self._keep_ports()

    def _keep_ports(self) -> None:
        ports = {"port": self.port, "emulator": self.emulator_port}
        ports |= {"gateway": self.gateway.port, "hub": self.hub.port, "mailbox": self.mailbox.port}
        ports |= {"stripe": self.stripe.port}
        self._ports_file.write_text(json.dumps(ports))

    def _read_ports(self) -> dict[str, int]:
        return json.loads(self._ports_file.read_text()) if self._ports_file.exists() else {}

    def _take_folder(self) -> None:
        lock = (self.state / LOCK).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StackBusy(f"{self.state} is in use: another `make dev` or test run works there.") from None
        self._lock = lock

    def _leave_folder(self) -> None:
        if self._lock:
            self._lock.close()
            self._lock = None

    @property
    def _ports_file(self) -> Path:
        return self.state / "ports.json"


def _first_free(port: int | None) -> int:
    return port if port and is_free(port) else free_port()
