"""`init`: an uploaded manifest becomes a planned, started run, and is let in when there is room."""

from __future__ import annotations

import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from cosmic.contracts.manifest import Manifest
from cosmic.contracts.plan import Limits, Plan
from cosmic.contracts.status import State
from cosmic.costs.budget import over_budget
from cosmic.costs.world_size import best_world_size
from cosmic.errors import Problem
from cosmic.planning.admission import Admission, admit
from cosmic.planning.admission_queue import RUN_ENDED, Ended, release
from cosmic.planning.concurrency import ranks_at_once
from cosmic.planning.events import uploads
from cosmic.planning.settings import InitSettings
from cosmic.planning.start_run import Outcome, Upload, start_run, start_runs
from cosmic.storage.objects import Store, s3_client

logger = Logger(service="init")
metrics = Metrics(service="init")
settings = InitSettings.from_environment(os.environ)
store = Store(s3_client())
executions = boto3.client("stepfunctions")
functions = boto3.client("lambda")


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Start the runs that the event announces, admit the run that asks, or wake the next."""
    if "admit" in event:
        return _admit(event["admit"])
    return _release(event) if event.get("detail-type") == RUN_ENDED else _start_all(event)


def _admit(event: dict[str, Any]) -> dict[str, Any]:
    request = Admission.from_event(event)
    answer = admit(request, store, executions, _at_once())
    facts: dict[str, Any] = {"run": request.run, "ranks": request.ranks, "taken": answer.taken}
    if answer.admitted:
        logger.info("run admitted", looks=answer.looks, **facts)
    else:
        logger.info("run waits", before=answer.before[:5], wait_s=answer.wait_s, **facts)
    return answer.as_dict()


def _release(event: dict[str, Any]) -> dict[str, Any]:
    ended = Ended.from_event(event)
    woken = release(ended, store, executions, _at_once())
    logger.info("run left the queue", execution=ended.execution, woken=woken)
    return {"woken": list(woken)}


def _start_all(event: dict[str, Any]) -> dict[str, Any]:
    outcomes, errors = start_runs(uploads(event), _start)
    for outcome in outcomes:
        _report(outcome)
    if outcomes:
        metrics.flush_metrics()
    for error in errors[1:]:
        logger.error("manifest not answered", error=str(error))
    if errors:
        raise errors[0]
    return {"runs": [_as_dict(outcome) for outcome in outcomes]}


def _at_once() -> int:
    return ranks_at_once(functions, settings.infer_function, settings.max_world_size)


def _start(upload: Upload) -> Outcome:
    return start_run(
        upload,
        store,
        executions,
        settings.state_machine_arn,
        lambda: settings.limits(_at_once()),
        _too_expensive,
        best_world_size,
    )


def _too_expensive(plan: Plan, manifest: Manifest, limits: Limits) -> list[Problem]:
    return over_budget(plan, manifest.limits, limits)


def _report(outcome: Outcome) -> None:
    rejected = outcome.state is State.REJECTED
    metrics.add_metric("RunsRejected", MetricUnit.Count, int(outcome.new and rejected))
    metrics.add_metric("RunsStarted", MetricUnit.Count, int(outcome.new and not rejected))
    if rejected:
        problems = [p.as_dict() for p in outcome.problems]
        logger.error("manifest rejected", run=outcome.run, problems=problems)
    else:
        logger.info("run accepted", run=outcome.run, new=outcome.new)


def _as_dict(outcome: Outcome) -> dict[str, Any]:
    return {
        "run": outcome.run,
        "state": outcome.state,
        "new": outcome.new,
        "status": outcome.status_uri,
    }
