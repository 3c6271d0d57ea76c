"""What is kept of an invocation."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmic_local.lambda_pool.function import FunctionSpec
from cosmic_local.lambda_pool.invocation import (
    Invocation,
    Kind,
    Origin,
    Outcome,
    exited,
    failed,
    timed_out,
)
from cosmic_local.lambda_pool.invocation_log import (
    InvocationRecord,
    JsonLines,
    end_lines,
    read_records,
    start_line,
    write_record,
)

SPEC = FunctionSpec("f", "F", "arn", "a.b", Path("/code"), memory_mb=128)


def record_of(
    outcome: Outcome, *, init_ms: float = 0.0, duration_s: float = 0.01
) -> InvocationRecord:
    invocation = Invocation(b"{}", 3.0, Origin("states", "arn:x"), request_id="id")
    invocation.dispatch()
    invocation.finish(outcome)
    invocation._duration_s = duration_s
    return InvocationRecord.of(
        SPEC,
        invocation,
        outcome,
        env_id="e",
        pid=7,
        init_ms=init_ms,
        peak_bytes=40 << 20,
        log=Path("/log"),
    )


def test_lines_have_lambdas_form() -> None:
    outcome = Outcome(Kind.OK, b"1")
    assert start_line("id") == "START RequestId: id Version: $LATEST\n"
    assert end_lines(record_of(outcome, init_ms=104.512), outcome) == (
        "END RequestId: id\n"
        "REPORT RequestId: id\tDuration: 10.00 ms\tBilled Duration: 115 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 40 MB\tInit Duration: 104.51 ms\t\n"
    )


@pytest.mark.parametrize(
    ("outcome", "before", "after"),
    [
        (
            timed_out(Invocation(b"", 3.0, request_id="id")),
            "id Task timed out after 3.00 seconds\n",
            "Status: timeout\t",
        ),
        (
            exited(Invocation(b"", 3.0, request_id="id"), "Runtime exited: x", Kind.MEMORY),
            "RequestId: id Error: Runtime exited: x\nRuntime.OutOfMemory\n",
            "Status: error\tError Type: Runtime.OutOfMemory\t",
        ),
        (
            failed(Kind.INIT_ERROR, b'{"errorType": "Runtime.ImportModuleError"}'),
            "",
            "Status: error\tError Type: Runtime.ImportModuleError\t",
        ),
    ],
)
def test_lines_say_how_it_went_wrong(outcome: Outcome, before: str, after: str) -> None:
    text = end_lines(record_of(outcome), outcome)
    head, _, tail = text.partition("END RequestId: id\n")
    assert head.endswith(before)
    assert tail.rstrip("\n").endswith(after)


def test_an_error_of_the_handler_is_no_failure_of_the_environment() -> None:
    outcome = failed(Kind.ERROR, b'{"errorType": "Boom"}')
    assert "Status" not in end_lines(record_of(outcome), outcome)


def test_billed_time_is_duration_and_initialisation_rounded_up() -> None:
    outcome = Outcome(Kind.OK, b"1")
    assert record_of(outcome, duration_s=0.0101).billed_ms == 11
    assert record_of(outcome, duration_s=0.0101, init_ms=100.3).billed_ms == 111


def test_records_are_read_as_written(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "r.jsonl")
    record = record_of(Outcome(Kind.OK, b"1"))
    write_record(lines, record)
    with lines.path.open("a") as stream:
        stream.write('{"function": "half writ')
    assert read_records(lines.path) == [record]
    assert (record.outcome, record.source, record.execution) == ("ok", "states", "arn:x")


def test_no_file_is_no_records(tmp_path: Path) -> None:
    assert read_records(tmp_path / "none.jsonl") == []


def test_the_first_outcome_counts() -> None:
    invocation = Invocation(b"{}", 1.0)
    assert invocation.finish(Outcome(Kind.OK, b"1"))
    assert not invocation.finish(timed_out(invocation))
    outcome = invocation.wait(0)
    assert outcome is not None
    assert outcome.kind is Kind.OK
