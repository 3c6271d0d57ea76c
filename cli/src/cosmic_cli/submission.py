"""Drop a manifest, and follow the run that it starts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from cosmic.contracts.layout import RunFolder, run_id
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import MANIFEST_PREFIX, parse_manifest
from cosmic.contracts.status import Status
from cosmic.errors import InputError, TransientError
from cosmic_cli.files import read_file
from cosmic_cli.observing import Observer, Snapshot, execution_arn
from cosmic_cli.target import Target


def submit(target: Target, manifest: Path) -> RunFolder:
    """Check a manifest here, put it into the bucket, and say which run that starts.

    Raises:
        InvalidInput: everything that is wrong with it.
        InputError: it can't be read, or the bucket can't be written.
    """
    text = read_file(manifest)
    parsed = parse_manifest(text)
    allowed = tuple(target.outputs.get("OutputPrefixes", "").split(","))
    if not parsed.output.prefix.startswith(allowed):
        message = f"{target.bucket} takes no results under {parsed.output.prefix!r}"
        raise InputError(message, code="no-prefix", hint=f"use one of {', '.join(allowed)}")
    at = Location(target.bucket, f"{MANIFEST_PREFIX}{manifest.stem}.json")
    version = target.store().put_version(at, text)
    run = run_id(parsed.job, at.bucket, at.key, version)
    return RunFolder(target.bucket, parsed.output.prefix, run)


def follow(
    target: Target,
    folder: RunFolder,
    *,
    start_timeout_s: float = 120.0,
    end_timeout_s: float = 180.0,
    look_timeout_s: float = 30.0,
) -> Iterator[Snapshot]:
    """Look at a run again and again until it has its final status, and its page too.

    Args:
        target: Where it runs.
        folder: The run.
        start_timeout_s: Longest wait for `init`'s answer, and for an execution that Step Functions
            doesn't know.
        end_timeout_s: Longest wait for the final status once the execution has ended.
        look_timeout_s: How long looking may fail before that ends the following.

    Raises:
        TransientError: `init`, or `aggregate`, has not answered in time, there is no execution, or
            nothing can be seen.
    """
    observer = Observer(target, folder)
    started = alive = known = looked = time.monotonic()
    over = False
    while True:
        try:
            snapshot = observer.look()
        except TransientError:
            if time.monotonic() > looked + look_timeout_s:
                raise
            time.sleep(target.poll_s)
            continue
        looked = time.monotonic()
        yield snapshot
        now = time.monotonic()
        if snapshot.status and snapshot.status.state.final:
            if over or now > alive + end_timeout_s:
                return
            over = snapshot.execution != "RUNNING"  # its last status may be newer than this one
            if not over:
                time.sleep(target.poll_s)
            continue
        if snapshot.status is None and now > started + start_timeout_s:
            message = f"{folder.run} has no status after {start_timeout_s:g} s"
            raise TransientError(message, hint="look at the init function's log")
        if snapshot.status is None or snapshot.execution:
            known = now
        elif now > known + start_timeout_s:
            raise _no_execution(target, folder, snapshot.status)
        if snapshot.execution in ("", "RUNNING"):
            alive = now
        elif now > alive + end_timeout_s:
            message = f"the execution of {folder.run} is {snapshot.execution}, its status RUNNING"
            hint = f"`{target.command('resume', folder.run)}` lets aggregate end it"
            raise TransientError(message, hint=hint)
        time.sleep(target.poll_s)


def _no_execution(target: Target, folder: RunFolder, status: Status) -> TransientError:
    run = folder.run
    arn = execution_arn(target, run, status)
    message = f"the status of {run} is {status.state.value}, but there is no execution {arn}"
    hint = f"`{target.command('resume', run)}` starts it; the init function's log may say why"
    return TransientError(message, code="no-execution", hint=hint)
