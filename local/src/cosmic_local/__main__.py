"""The stack's process: `python -m cosmic_local --template template.yaml --state-dir DIR`.

It ends on SIGTERM or SIGINT and, unless detached, when its standard input does, which is when
the process that started it has gone without releasing it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
from werkzeug.serving import BaseWSGIServer

from cosmic.contracts.engines import ENGINES
from cosmic.errors import CosmicError
from cosmic_local import state
from cosmic_local.applications import Control, Guarded
from cosmic_local.client import client
from cosmic_local.console.server import console
from cosmic_local.durable.folder import DataFolder, opened
from cosmic_local.emulator import ACCOUNT, LOOPBACK, Functions, bind, serving
from cosmic_local.errors import DataError
from cosmic_local.kept import Kept
from cosmic_local.lambda_pool.event_queue import EventQueue
from cosmic_local.lambda_pool.function import FunctionSpec, Surroundings
from cosmic_local.lambda_pool.memory import affordable
from cosmic_local.lambda_pool.pool import Limits, Pool
from cosmic_local.moto_adapter import adapted
from cosmic_local.options import RELEASE, StackOptions
from cosmic_local.supervised_process import SupervisedProcess, rendezvous
from cosmic_local.template.deploy import Deployment, deploy
from cosmic_local.template.intrinsics import Place
from cosmic_local.template.template import load, read

TEMPORARY = ("environments", "layouts", "tmp")


def _forget_proxies() -> None:
    """All that this process and its functions talk to is on loopback, which no proxy reaches."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]


def main() -> int:
    """Run a stack until told to stop."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    _forget_proxies()
    try:
        options = StackOptions.parse()
        if not options.detached:
            threading.Thread(target=_follow_parent, args=(stop,), daemon=True).start()
        with running(options):
            stop.wait()
    except CosmicError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _follow_parent(stop: threading.Event) -> None:
    while said := os.read(sys.stdin.fileno(), 4096):
        if said == RELEASE:
            return
    stop.set()


@contextlib.contextmanager
def running(options: StackOptions) -> Iterator[state.StackInfo]:
    """A stack in this process, for as long as the block lasts."""
    folder = options.state_dir.resolve()
    clean(folder)
    with contextlib.ExitStack() as stack:
        stack.callback(clean, folder)
        data = stack.enter_context(_data(options, folder))
        (folder / "tmp").mkdir(parents=True)
        os.environ["TMPDIR"] = str(folder / "tmp")
        server = bind(options.host, options.port)
        stack.callback(server.server_close)
        endpoint_url = f"http://{options.host}:{server.port}"
        place = Place(options.name, options.region, ACCOUNT, endpoint_url)
        parameters, variables = dict(options.parameters), dict(options.environment)
        side = _rendezvous(options, folder, parameters, variables) if options.rendezvous else None
        if side is not None:
            stack.callback(side.stop)
        _offer_engines(options, parameters)
        template = load(options.template, parameters, place)

        @functools.cache
        def clients(service: str) -> Any:
            return client(service, endpoint_url, options.region)

        around, limits = Surroundings(options.region, endpoint_url, variables), _limits(options)
        pool = stack.enter_context(contextlib.closing(Pool(folder, around, limits)))
        kept = Kept(data, place) if data is not None else None
        journal = kept.events if kept is not None else None
        queue = EventQueue(pool, folder, _destination(clients, endpoint_url), journal=journal)
        stack.callback(queue.close)
        functions = Functions(pool, queue)
        stack.enter_context(adapted(functions))
        if kept is not None:
            server.app = stack.enter_context(kept.recording(server.app))
        control = Control(server.app, pool, limits.concurrency)
        server.app = Guarded(control, server.port, options.host)
        stack.enter_context(serving(server))
        stack.enter_context(_on_loopback_too(options.host, server))
        deployment = deploy(
            template, pool, clients, folder / "layouts", elsewhere=options.lambda_endpoint
        )
        functions.rules.extend(deployment.rules)
        if kept is not None:
            kept.restore(functions)
        info = _describe(options, place, deployment, side)
        info = replace(info, concurrency=limits.concurrency)
        if options.console:
            info = replace(info, console=stack.enter_context(console(info, clients, folder)))
        _say(stack, folder, info)
        _end_first(stack, pool, queue, data)
        yield info


def _say(stack: contextlib.ExitStack, folder: Path, info: state.StackInfo) -> None:
    """Let others find the stack until it ends."""
    state.write(folder, info)
    stack.callback(state.remove, folder)


def _limits(options: StackOptions) -> Limits:
    """No more invocations at once than the machine's memory holds."""
    concurrency = affordable(options.concurrency, psutil.virtual_memory().available)
    return Limits(concurrency, options.idle_s)


def _end_first(
    stack: contextlib.ExitStack, pool: Pool, queue: EventQueue, data: DataFolder | None
) -> None:
    """Have running work end before all else: nothing that stops then may wait for it."""
    stack.callback(pool.close)
    stack.callback(queue.close)
    if data is not None:
        stack.callback(data.close)  # What the end makes of that work is not kept.


def _data(options: StackOptions, folder: Path) -> contextlib.AbstractContextManager[Any]:
    """The folder of what outlives the stack, locked; None without one."""
    if options.data is None:
        return contextlib.nullcontext()
    data = options.data.resolve()
    if any(data.is_relative_to(folder / name) for name in TEMPORARY):
        message = f"{data} is in a folder that the stack removes when it ends"
        raise DataError(message, hint="give a folder outside the state directory")
    return opened(data, {"stack": options.name, "region": options.region})


@contextlib.contextmanager
def _on_loopback_too(host: str, server: BaseWSGIServer) -> Iterator[None]:
    """Answer on loopback as well, where moto's Step Functions looks for S3."""
    if host == LOOPBACK:
        yield
        return
    inner = bind(LOOPBACK, server.port)
    inner.app = server.app
    with serving(inner):
        yield


def clean(folder: Path) -> None:
    """Remove what a stack that was killed could not."""
    for name in TEMPORARY:
        shutil.rmtree(folder / name, ignore_errors=True)


def _rendezvous(
    options: StackOptions, folder: Path, parameters: dict[str, str], variables: dict[str, str]
) -> SupervisedProcess:
    secret = secrets.token_hex(32)
    side = rendezvous(folder, secret)
    side.start()
    address = f"127.0.0.1:{side.port}"
    variables |= {"FMI_RENDEZVOUS": address, "FMI_DEPLOYMENT_SECRET": secret}
    if "RendezvousAddress" in read(options.template).get("Parameters", {}):
        parameters.setdefault("RendezvousAddress", address)
    return side


def _offer_engines(options: StackOptions, parameters: dict[str, str]) -> None:
    """Let `init` accept the engines that are installed here, unless ranks run in images."""
    installed = ",".join(name for name in ENGINES if find_spec(name))
    declared = read(options.template).get("Parameters", {})
    if installed and not options.lambda_endpoint and "InferEngines" in declared:
        parameters.setdefault("InferEngines", installed)


def _destination(clients: Any, endpoint_url: str) -> Any:
    def deliver(spec: FunctionSpec, record: dict[str, Any]) -> None:
        event = {"arn": spec.events.dead_letter, "body": record["requestPayload"]}
        for arn, body in ((spec.events.on_failure, record), (event["arn"], event["body"])):
            if arn and arn.split(":")[2] == "sqs":
                url = f"{endpoint_url}/{arn.split(':')[4]}/{arn.split(':')[5]}"
                clients("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(body))

    return deliver


def _describe(
    options: StackOptions, place: Place, deployment: Deployment, side: SupervisedProcess | None
) -> state.StackInfo:
    return state.StackInfo(
        pid=os.getpid(),
        created_s=state.own_start(),
        endpoint_url=place.endpoint_url,
        region=place.region,
        account=place.account,
        stack=place.stack,
        template=str(options.template.resolve()),
        outputs=deployment.outputs,
        functions={
            spec.logical_id: state.FunctionInfo(spec.name, spec.arn, spec.memory_mb, spec.timeout_s)
            for spec in deployment.functions
        },
        left_out=deployment.left_out,
        rendezvous=f"127.0.0.1:{side.port}" if side is not None else "",
        data=str(options.data.resolve()) if options.data is not None else "",
    )


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # All is cleaned up; taking an emulator apart in memory takes a second.
