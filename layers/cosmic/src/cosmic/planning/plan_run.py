"""From a manifest to a plan: what a run is to read and how it is shared out, or why it can't be."""

from __future__ import annotations

from collections.abc import Callable

from cosmic.contracts.bands import BANDS
from cosmic.contracts.engines import BF16_ENGINE, choose_engine
from cosmic.contracts.manifest import Inference, Manifest
from cosmic.contracts.plan import (
    AUTO_ROWS_PER_RANK,
    Limits,
    Plan,
    limit_rows,
    make_plan,
    refusals,
    used_ranks,
)
from cosmic.contracts.vcpus import threads_for_memory
from cosmic.errors import Problem
from cosmic.planning.capacity import too_much_for_hats, too_much_to_merge
from cosmic.planning.inputs import RunInputs, inspect_inputs
from cosmic.planning.memory import largest_model_bytes, projected_memory_mb
from cosmic.storage.interfaces import Readable

Chooser = Callable[[Manifest, RunInputs, Limits], int]


def by_rows(manifest: Manifest, found: RunInputs, limits: Limits) -> int:
    """The number of ranks if their cost is unknown: one for every `AUTO_ROWS_PER_RANK` rows."""
    inference = manifest.inference
    rows = sum(limit_rows([p.rows for p in found.partitions], inference.limit_rows))
    return max(1, min(limits.world_size, -(-rows // max(AUTO_ROWS_PER_RANK, inference.batch_size))))


def survey_input(manifest: Manifest, store: Readable, limits: Limits) -> RunInputs:
    """Look at a run's input; a model that fits into no rank is refused unread."""
    engine = choose_engine(manifest.inference.engine, limits.engines)
    largest = largest_model_bytes(limits.memory_mb, engine) or None  # what is wrong isn't the model
    return inspect_inputs(
        store,
        manifest.data,
        manifest.model,
        largest_model_bytes=largest,
        functions=limits.functions,
    )


def plan_run(
    run: str,
    manifest: Manifest,
    found: RunInputs,
    limits: Limits,
    choose: Chooser = by_rows,
) -> Plan | list[Problem]:
    """The plan of a surveyed run, or everything that speaks against it.

    Args:
        choose: Returns the number of ranks if the manifest says `auto`.
    """
    rows = limit_rows([p.rows for p in found.partitions], manifest.inference.limit_rows)
    batch_size = manifest.inference.batch_size
    wanted = manifest.inference.world_size
    world_size = choose(manifest, found, limits) if wanted == "auto" else wanted
    world_size, fewer = used_ranks(world_size, rows, batch_size)
    channel, warnings = _choose_channel(manifest.fmi.channel, world_size, limits)
    row_bytes = max((p.row_bytes for p in found.partitions), default=0)
    memory_mb = projected_memory_mb(
        found.model.bytes if found.model else 0,
        row_bytes,
        batch_size,
        choose_engine(manifest.inference.engine, limits.engines),
        threads_for_memory(limits.memory_mb),
    )
    problems = list(found.problems)
    if found.partitions or not problems:
        problems += refusals(sum(rows), world_size, channel, limits, memory_mb)
        if limits.functions:
            counts = (sum(rows), world_size, len(found.partitions))
            bands = found.model.bands if found.model else BANDS
            problems += too_much_to_merge(*counts, limits.functions, bands)
            if manifest.output.hats:
                problems += too_much_for_hats(*counts[:2], limits.functions, bands)
    if not manifest.output.prefix.startswith(limits.output_prefixes):
        problems.append(_no_prefix(manifest.output.prefix, limits))
    problems += _no_engine(manifest.inference, limits)
    problems += _no_precision(manifest.inference, limits)
    if problems or found.model is None:
        return problems
    return make_plan(
        run,
        manifest,
        found.model,
        found.partitions,
        world_size=world_size,
        channel=channel,
        ignored_keys=found.ignored_keys,
        warnings=[*manifest.warnings, *found.warnings, *fewer, *warnings],
        check_pixels=found.check_pixels,
        output_prefixes=limits.output_prefixes,
        engines=limits.engines,
        architecture=limits.architecture,
    )


def _no_engine(inference: Inference, limits: Limits) -> list[Problem]:
    engine = choose_engine(inference.engine, limits.engines)
    if engine in limits.engines:
        return []
    message = f"the engine {engine} is not installed in this deployment"
    hint = f"it has {', '.join(limits.engines)}"
    return [Problem("/inference/engine", message, inference.engine, hint, "no-engine")]


def _no_precision(inference: Inference, limits: Limits) -> list[Problem]:
    """Whether the processor has a precision, only a rank can tell."""
    engine = choose_engine(inference.engine, limits.engines)
    if inference.precision == "float32" or engine == BF16_ENGINE:
        return []
    other = f", or the engine {BF16_ENGINE}" if BF16_ENGINE in limits.engines else ""
    hint = f"use float32{other}"
    message = f"the engine {engine} does not compute in {inference.precision}"
    return [
        Problem("/inference/precision", message, inference.precision, hint, "no-precision"),
    ]


def _no_prefix(prefix: str, limits: Limits) -> Problem:
    hint = f"use a prefix under {' or '.join(limits.output_prefixes)}"
    message = f"the functions may not write under {prefix!r}"
    return Problem("/output/prefix", message, prefix, hint, "no-prefix")


def _choose_channel(wanted: str, world_size: int, limits: Limits) -> tuple[str, list[str]]:
    """The channel, and what to warn of: ranks that can't all run at once can't talk."""
    if wanted != "auto":
        return wanted, []
    best = limits.channels[0] if limits.channels else "none"
    if best == "none" or world_size <= limits.world_size:
        return best, []
    warning = (
        f"only {limits.world_size} of {world_size} ranks can run at once, "
        "so ranks will not communicate (fmi.channel=none)"
    )
    hint = "no more can run at once here (InferConcurrency, or the account's concurrency)"
    return "none", [f"{warning}: {hint}"]
