"""A deployment of Cosmic, on AWS or on this machine, as a program uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmic.client.defaults import PREFIX, STACK, STATE_DIR
from cosmic.client.list_runs import ListedRun, list_runs
from cosmic.client.manifests import AnyManifest
from cosmic.client.run import Run
from cosmic.client.stack import (
    Stack,
    aws_stack,
    local_stack,
    of_local,
    stack_package,
)
from cosmic.client.submit import submit
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.errors import InputError

if TYPE_CHECKING:
    from cosmic.client.plan import PlannedRun, RateSource


@dataclass(frozen=True)
class Deployment:
    """A deployed Cosmic.

        with Deployment.start("template.yaml") as cosmic:
            run = cosmic.submit(Path("manifest.json"))
            print(run.wait().state, run.results("results"))

    Every method raises `InputError` if AWS refuses, and `TransientError` if it fails.

    Attributes:
        stack: Its services.
    """

    stack: Stack

    @classmethod
    def on_aws(
        cls, stack: str = STACK, profile: str | None = None, region: str | None = None
    ) -> Deployment:
        """The deployment of a CloudFormation stack.

        Args:
            stack: The stack's name.
            profile: AWS profile; None: as the environment says.
            region: AWS region; None: as the profile or the environment says.

        Raises:
            InputError: there is no such stack, it is not Cosmic's, or AWS is not configured.
            TransientError: AWS can't be reached.
        """
        return cls(aws_stack(stack, profile, region))

    @classmethod
    def local(cls, state_dir: Path | str = STATE_DIR) -> Deployment:
        """The local stack that `cosmic local up` started.

        Raises:
            CosmicError: none runs in that state directory.
        """
        return cls(local_stack(Path(state_dir)))

    @classmethod
    @contextmanager
    def start(
        cls, template: Path | str = "template.yaml", state_dir: Path | str | None = None
    ) -> Iterator[Deployment]:
        """A local stack that runs for the length of the `with` block and leaves no data behind.

        Args:
            template: The SAM template, in a checkout of the project.
            state_dir: Where logs and records go; None: they are removed at the end.

        Raises:
            InputError: there is no such template.
            CosmicError: the stack did not start; the message quotes its log.
        """
        if not Path(template).is_file():
            hint = "run it in the project's folder, or name the template"
            raise InputError(f"{template} does not exist", code="not-found", hint=hint)
        folder = None if state_dir is None else Path(state_dir)
        with stack_package().LocalStack(Path(template), folder, rendezvous=True) as running:
            yield cls(of_local(running))

    @property
    def bucket(self) -> str:
        """The data bucket."""
        return self.stack.bucket

    def upload(self, file: Path | str, key: str) -> str:
        """Upload a file, such as a partition or a checkpoint, into the data bucket.

        Args:
            file: The file.
            key: Its name there, such as `data/mine/0.safetensors`.

        Returns:
            Its URI, as a manifest names it.

        Raises:
            InputError: there is no such file, or S3 refuses it.
            TransientError: S3 failed.
        """
        at = Location(self.bucket, key)
        if not Path(file).is_file():
            raise InputError(f"{file} does not exist", code="not-found", hint="check its name")
        self.stack.store().upload(Path(file), at)
        return at.uri

    def submit(
        self,
        manifest: AnyManifest,
        *,
        max_cost_usd: float | None = None,
        rows_per_s: float | None = None,
    ) -> Run:
        """Upload a manifest, which starts a run.

        Args:
            manifest: The document as a mapping, as JSON text, or the path of its file.
            max_cost_usd: Replaces the manifest's `limits.max_cost_usd`: `init` rejects a run
                that is expected to cost more.
            rows_per_s: Replaces its `limits.rows_per_s`, from which that cost is computed.

        Raises:
            InvalidInput: it has mistakes; lists all of them.
            InputError: it can't be read, or the bucket can't be written.
        """
        limits = {"max_cost_usd": max_cost_usd, "rows_per_s": rows_per_s}
        return Run(self.stack, submit(self.stack, manifest, limits))

    def plan(
        self,
        manifest: AnyManifest,
        source: RateSource | None = None,
        prefix: str = PREFIX,
        *,
        max_cost_usd: float | None = None,
    ) -> PlannedRun:
        """What a manifest would do: ranks, bytes, memory, time and cost. Nothing is started.

        Args:
            manifest: As for `submit`.
            source: Where to take the model's throughput from; None: time and cost are unknown.
            prefix: Prefix of the results of the run that `source` may name.
            max_cost_usd: Replaces the manifest's `limits.max_cost_usd`.

        Raises:
            InvalidInput: the run is not possible; lists all the reasons.
        """
        from cosmic.client.plan import RateSource, plan  # numpy, which following a run doesn't need

        limits = {"max_cost_usd": max_cost_usd}
        return plan(self.stack, manifest, source or RateSource(), prefix, limits)

    def run(self, run: str, prefix: str = PREFIX) -> Run:
        """A run by its id.

        Args:
            run: The id.
            prefix: The manifest's `output.prefix`.
        """
        return Run(self.stack, RunFolder(self.bucket, prefix, run))

    def runs(self, limit: int = 20, prefix: str = PREFIX) -> list[ListedRun]:
        """The runs that were started last, latest first; rejected manifests start no run."""
        return list_runs(self.stack, prefix, limit)

    def client(self, service: str) -> Any:
        """A boto3 client for one of the deployment's services, such as `s3`."""
        return self.stack.client(service)
