"""Functions in processes: what Lambda does, the pool does."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cosmic_local.errors import PayloadTooLarge, StackError, Throttled, UnknownFunction
from cosmic_local.lambda_pool.invocation import Invocation, Kind, Origin
from cosmic_local.lambda_pool.invocation_log import read_records
from cosmic_local.lambda_pool.pool import Limits, Pool
from process_support.waiting import until

from .conftest import BASE, MakePool, answer, call

NewChildren = Callable[[], list[psutil.Process]]


def test_a_handler_runs_under_awss_runtime_client_with_lambdas_environment(pool: Pool) -> None:
    served = call(pool, x=1)
    found = answer(served)
    assert served.outcome.kind is Kind.OK
    assert found["pid"] == served.record.pid != os.getpid()
    assert found["layer"] == "a layer"
    assert found["request_id"] == served.record.request_id
    assert found["function"] == "first"
    assert 9000 < found["left_ms"] <= 10000
    assert found["environment"]["_HANDLER"] == "first.handler"
    assert found["environment"]["_X_AMZN_TRACE_ID"].startswith("Root=1-")
    assert Path(found["tmp"]).is_dir()


def test_an_idle_environment_is_reused(pool: Pool) -> None:
    records = [call(pool).record for _ in range(5)]
    assert len({record.pid for record in records}) == 1
    assert [record.cold for record in records] == [True] + [False] * 4
    assert records[0].init_ms > 0
    assert {record.init_ms for record in records[1:]} == {0}


def test_concurrent_invocations_get_a_process_each(pool: Pool) -> None:
    with ThreadPoolExecutor(6) as threads:
        served = list(threads.map(lambda _: call(pool, sleep_s=0.5), range(6)))
    assert len({s.record.pid for s in served}) == 6
    assert len({answer(s)["tmp"] for s in served}) == 6
    assert len({s.record.log for s in served}) == 6
    with ThreadPoolExecutor(6) as threads:
        again = list(threads.map(lambda _: call(pool, sleep_s=0.2), range(6)))
    assert {s.record.pid for s in again} == {s.record.pid for s in served}


def test_an_exception_comes_back_by_name_and_the_environment_stays(pool: Pool) -> None:
    served = call(pool, **{"raise": "no"})
    found = answer(served)
    assert served.outcome.kind is Kind.ERROR
    assert (found["errorType"], found["errorMessage"]) == ("BrokenError", "no")
    assert "first.py" in found["stackTrace"][0]
    assert served.record.error_type == "BrokenError"
    assert call(pool).record.pid == served.record.pid


def test_a_slow_handler_is_killed_at_its_deadline(make_pool: MakePool) -> None:
    pool = make_pool(timeout_s=1)
    before = time.monotonic()
    served = call(pool, sleep_s=30)
    assert time.monotonic() - before < 5
    found = answer(served)
    assert served.outcome.kind is Kind.TIMEOUT
    assert found["errorType"] == "Sandbox.Timedout"
    assert found["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert 1000 <= served.record.duration_ms < 1500
    assert not psutil.pid_exists(served.record.pid)
    assert call(pool).record.cold


def test_an_invocations_own_deadline_counts(pool: Pool) -> None:
    served = pool.invoke("first", Invocation(b'{"sleep_s": 20}', 0.3))
    assert served.outcome.kind is Kind.TIMEOUT
    assert served.record.duration_ms < 2000


def test_a_greedy_handler_is_killed(pool: Pool) -> None:
    served = call(pool, allocate_mb=400)
    found = answer(served)
    assert served.outcome.kind is Kind.MEMORY
    assert found["errorType"] == "Runtime.OutOfMemory"
    assert found["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert served.record.max_memory_mb == served.record.memory_mb == 256
    assert not psutil.pid_exists(served.record.pid)


def test_peak_memory_is_measured(pool: Pool) -> None:
    small = call(pool).record.max_memory_mb
    assert 10 < small < 120


@pytest.mark.parametrize(
    ("code", "reason"),
    [(3, "error: exit status 3"), (0, "without providing a reason")],
)
def test_an_exit_is_an_error(pool: Pool, code: int, reason: str) -> None:
    served = call(pool, exit=code)
    found = answer(served)
    assert served.outcome.kind is Kind.EXIT
    assert found["errorType"] == "Runtime.ExitError"
    assert found["errorMessage"].endswith(reason)


def test_a_process_killed_while_idle_is_replaced(pool: Pool) -> None:
    pid = call(pool).record.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(pid))
    served = call(pool)
    assert served.outcome.kind is Kind.OK
    assert served.record.pid != pid


def test_a_handler_that_cannot_be_imported_says_so(make_pool: MakePool) -> None:
    pool = make_pool(handler="nothing.handler")
    served = call(pool)
    assert served.outcome.kind is Kind.INIT_ERROR
    assert answer(served)["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'nothing'" in answer(served)["errorMessage"]


def test_a_response_that_lambda_would_refuse_is_an_error(
    tmp_path: Path, make_pool: MakePool
) -> None:
    (tmp_path / "big.py").write_text("def handler(e, c): return 'x' * 7_000_000\n")
    served = call(make_pool(handler="big.handler", code=tmp_path))
    assert answer(served)["errorType"] == "Function.ResponseSizeTooLarge"


def test_logs_hold_output_between_lambdas_lines(pool: Pool) -> None:
    served = call(pool, x="marked")
    text = Path(served.record.log).read_text()
    expected = (
        rf"START RequestId: {served.record.request_id} Version: \$LATEST\n"
        r'served \{"x": "marked"\}\n'
        rf"END RequestId: {served.record.request_id}\n"
        rf"REPORT RequestId: {served.record.request_id}\tDuration: [\d.]+ ms\t"
        r"Billed Duration: \d+ ms\tMemory Size: 256 MB\tMax Memory Used: \d+ MB\t"
        r"Init Duration: [\d.]+ ms\t\n"
    )
    assert re.search(expected, text), text
    assert served.log_tail.decode() in text
    assert len(call(pool, x="y" * 10_000).log_tail) == 4096


def test_a_function_at_its_own_concurrency_is_throttled(make_pool: MakePool) -> None:
    pool = make_pool(reserved_concurrency=1)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(call, pool, sleep_s=1)
        until(pool.running)
        with pytest.raises(Throttled, match="first already runs 1") as error:
            call(pool)
        assert error.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert first.result().outcome.kind is Kind.OK
    assert call(pool).outcome.kind is Kind.OK


def test_the_pool_is_throttled_as_an_account(make_pool: MakePool) -> None:
    pool = make_pool(limits=Limits(concurrency=1))
    pool.add(replace(BASE, name="other"))
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(call, pool, sleep_s=1)
        until(pool.running)
        with pytest.raises(Throttled) as error:
            pool.invoke("other", Invocation(b"{}", 1))
        assert error.value.reason == "ConcurrentInvocationLimitExceeded"
        first.result()


def test_no_concurrency_at_all_is_refused() -> None:
    with pytest.raises(StackError, match="at least 1"):
        Limits(concurrency=0)


def test_an_unknown_function_is_named(pool: Pool) -> None:
    with pytest.raises(UnknownFunction, match="no function 'other'"):
        pool.invoke("other", Invocation(b"{}", 1))


def test_an_event_that_lambda_would_refuse_is_refused(pool: Pool) -> None:
    with pytest.raises(PayloadTooLarge, match="6291456"):
        call(pool, x="y" * 7_000_000)


def test_idle_environments_end(make_pool: MakePool) -> None:
    pool = make_pool(limits=Limits(idle_s=0.2, watch_s=0.02))
    served = call(pool)
    until(lambda: not psutil.pid_exists(served.record.pid))
    until(lambda: not Path(answer(served)["tmp"]).exists())
    assert call(pool).record.cold


def test_a_function_deployed_again_starts_afresh(pool: Pool) -> None:
    before = call(pool).record
    pool.add(replace(BASE, environment={"NEW": "1"}))
    served = call(pool)
    assert served.record.cold
    assert answer(served)["environment"]["NEW"] == "1"
    assert not psutil.pid_exists(before.pid)


def test_code_that_is_not_there_is_refused(pool: Pool) -> None:
    with pytest.raises(StackError, match="is not a directory"):
        pool.add(replace(BASE, code=Path("/none")))


def test_who_serves_what_is_known_while_it_runs(pool: Pool) -> None:
    origin = Origin("states", "arn:execution")
    with ThreadPoolExecutor(1) as threads:
        invocation = Invocation(b'{"sleep_s": 1}', 10, origin)
        future = threads.submit(pool.invoke, "first", invocation)
        (running,) = until(lambda: [r for r in pool.running() if r["start"]])
        assert running["request_id"] == invocation.request_id
        assert running["event"] == '{"sleep_s": 1}'
        assert running["execution"] == "arn:execution"
        assert future.result().record.pid == running["pid"]
    assert pool.running() == []


def test_the_invocations_of_an_execution_are_stopped(pool: Pool) -> None:
    with ThreadPoolExecutor(3) as threads:
        futures = [
            threads.submit(
                pool.invoke, "first", Invocation(b'{"sleep_s": 20}', 30, Origin("states", who))
            )
            for who in ("a", "a", "b")
        ]
        until(lambda: len([r for r in pool.running() if r["start"]]) == 3)
        assert pool.stop_execution("a") == 2
        kinds = [future.result(5).outcome.kind for future in futures[:2]]
        assert kinds == [Kind.STOPPED, Kind.STOPPED]
        assert len(pool.running()) == 1
        with pytest.raises(StackError, match="a was stopped"):
            pool.invoke("first", Invocation(b"{}", 1, Origin("states", "a")))
        pool.stop_execution("b")


def test_every_invocation_is_recorded(pool: Pool, tmp_path: Path) -> None:
    call(pool)
    call(pool, **{"raise": "x"})
    call(pool, exit=1)
    records = read_records(tmp_path / "pool-0" / "invocations.jsonl")
    assert [r.outcome for r in records] == ["ok", "error", "exit"]
    for record in records:
        assert record.function == "first"
        assert record.start <= record.end
        assert record.billed_ms >= record.duration_ms
        assert record.max_memory_mb > 0


def test_closing_ends_all_and_is_safe_twice(
    pool: Pool, tmp_path: Path, new_children: NewChildren
) -> None:
    with ThreadPoolExecutor(2) as threads:
        future = threads.submit(call, pool, sleep_s=20)
        until(lambda: [r for r in pool.running() if r["start"]])
        before = time.monotonic()
        pool.close()
        pool.close()
        assert time.monotonic() - before < 5
        assert future.result(5).outcome.kind is Kind.STOPPED
    assert new_children() == []
    assert list((tmp_path / "pool-0" / "environments").iterdir()) == []
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"runtime-api", "pool-monitor"}
    with pytest.raises(StackError, match="is stopping"):
        call(pool)
