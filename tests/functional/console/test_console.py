"""The local console: it lists runs, follows a live one, opens its page, and is for this machine."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.status import State, Status, utc_now
from cosmic.storage.objects import Store
from cosmic_local.console.runs import RunList
from plan_support import small_plan
from report_support.browser import axe_violations, opened

EVIL = "<img src=x onerror=alert(1)>"
PAGE = b"<!doctype html><title>the page</title><script>document.title = 'ran'</script><h1>Hi</h1>"


def put_status(store: Store, folder: RunFolder, state: State, **more: Any) -> None:
    facts: dict[str, Any] = {"updated_at": "2026-11-26T10:00:00.000+00:00", **more}
    status = Status(
        run=folder.run,
        state=state,
        manifest="s3://b/manifests/m.json",
        world_size=4,
        rows_in=100,
        **facts,
    )
    store.put(folder.status, status.model_dump_json().encode())


def ask(
    address: str, path: str = "/", method: str = "GET", **headers: str
) -> tuple[int, bytes, Any]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.headers
    connection.close()
    return found


def test_a_live_run_is_followed_to_its_page(
    browser: Any, address: str, store: Store, bucket: str
) -> None:
    folder = RunFolder(bucket, "runs/", "demo-0123456789ab")
    with opened(browser, address) as seen:
        seen.page.locator("#none").wait_for(state="visible")
        put_status(store, folder, State.RUNNING, warnings=(EVIL,))
        store.put(folder.record(0, 4), b"{}")
        row = seen.page.locator("#runs tr")
        row.get_by_text("1 / 4").wait_for()
        assert row.locator("progress").get_attribute("value") == "1"
        assert row.locator("small").text_content() == EVIL
        store.put(folder.report, PAGE, "text/html; charset=utf-8")
        outputs = {"report.html": folder.report.uri}
        put_status(store, folder, State.SUCCEEDED, rows_out=100, outputs=outputs)
        row.get_by_text("SUCCEEDED").wait_for()
        with seen.page.expect_popup() as popup:
            row.get_by_role("link", name="page of demo-0123456789ab").click()
        popup.value.get_by_role("heading", name="Hi").wait_for()
        assert popup.value.title() == "the page"
        assert seen.messages == []
        assert {urlsplit(r).netloc for r in seen.requests} == {urlsplit(address).netloc}


def test_ranks_that_failed_are_not_counted_as_done(address: str, store: Store, bucket: str) -> None:
    folder = RunFolder(bucket, "runs/", "lost-0123456789ab")
    store.put(folder.record(0, 4), b"{}")
    put_status(store, folder, State.FAILED)
    runs = json.loads(ask(address, "/api/runs")[1])["runs"]
    (shown,) = (run for run in runs if run["run"] == folder.run)
    assert (shown["ranks_done"], shown["ranks"]) == (1, 4)


def test_rows_of_the_ranks_that_are_done_are_counted_while_a_run_goes_on(
    address: str, store: Store, bucket: str
) -> None:
    folder = RunFolder(bucket, "runs/", "live-0123456789ab")
    plan = small_plan([100], 4, 16, run=folder.run)
    store.put(folder.plan, plan.model_dump_json().encode())
    put_status(store, folder, State.RUNNING)
    for done, rank in enumerate((0, 2)):
        store.put(folder.record(rank, 4), b"{}")
        (run,) = json.loads(ask(address, "/api/runs")[1])["runs"]
        assert (run["ranks_done"], run["rows_out"]) == (done + 1, None)
        assert run["rows_done"] == sum(plan.ranks[r].rows for r in (0, 2)[: done + 1])


def test_quality_time_and_cost_of_a_run_that_has_ended_are_shown(
    address: str, store: Store, bucket: str
) -> None:
    folder = RunFolder(bucket, "runs/", "done-0123456789ab")
    figures = {"photo_z": {"n": 9, "sigma_nmad": 0.0131}, "run": {"wall_s": 4.2}}
    store.put_json(folder.metrics, {**figures, "bill": {"usd": 0.0002}})
    put_status(store, folder, State.SUCCEEDED, outputs={"metrics.json": folder.metrics.uri})
    put_status(store, RunFolder(bucket, "runs/", "goes-on-0123456789ab"), State.RUNNING)
    goes_on, done = sorted(
        json.loads(ask(address, "/api/runs")[1])["runs"], key=lambda run: run["run"], reverse=True
    )
    assert (done["sigma_nmad"], done["wall_s"], done["usd"]) == (0.0131, 4.2, 0.0002)
    assert {goes_on["sigma_nmad"], goes_on["wall_s"], goes_on["usd"]} == {None}


def test_it_answers_to_its_own_name_only(address: str) -> None:
    assert urlsplit(address).hostname == "127.0.0.1"
    port = urlsplit(address).port
    assert ask(address, Host=f"localhost:{port}")[0] == 200
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.1", ""):
        assert ask(address, Host=name)[0] == 421


@pytest.mark.parametrize(
    "page",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_no_page_of_another_site_may_ask(address: str, page: dict[str, str]) -> None:
    assert ask(address, "/api/runs", **page)[0] == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert ask(address, **link)[0] == 200, "a link may lead here"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(address: str, method: str) -> None:
    assert ask(address, method=method)[0] == 501


def test_only_its_own_page_can_stop_a_run(
    address: str, store: Store, bucket: str, pipeline: str, aws: Callable[[str], Any]
) -> None:
    folder = RunFolder(bucket, "runs/", "live-0123456789ab")
    steps = aws("stepfunctions")
    arn = steps.start_execution(stateMachineArn=pipeline, name=folder.run)["executionArn"]
    put_status(store, folder, State.RUNNING, execution=arn)
    path, own = f"/cancel/runs/{folder.run}", address.rstrip("/")
    assert ask(address, path, "POST")[0] == 403
    assert ask(address, path, "POST", Origin="http://evil.example")[0] == 403
    assert ask(address, path, "POST", Origin=own, Host="evil.example")[0] == 421
    assert steps.describe_execution(executionArn=arn)["status"] == "RUNNING"
    assert ask(address, "/cancel/runs/none", "POST", Origin=own)[0] == 404
    assert ask(address, f"/cancel/data/{folder.run}", "POST", Origin=own)[0] == 404
    assert ask(address, f"/report/runs/{folder.run}", "POST", Origin=own)[0] == 404
    answer, body, _ = ask(address, path, "POST", Origin=own)
    assert (answer, json.loads(body)) == (202, {"stopped": arn})
    assert steps.describe_execution(executionArn=arn)["status"] == "ABORTED"
    put_status(store, folder, State.PARTIAL)
    answer, body, _ = ask(address, path, "POST", Origin=own)
    assert (answer, json.loads(body)["message"]) == (
        409,
        f"{folder.run} has ended already: PARTIAL",
    )


def test_the_button_stops_a_run(
    browser: Any,
    address: str,
    store: Store,
    bucket: str,
    pipeline: str,
    aws: Callable[[str], Any],
) -> None:
    folder = RunFolder(bucket, "runs/", "live-0123456789ab")
    steps = aws("stepfunctions")
    arn = steps.start_execution(stateMachineArn=pipeline, name=folder.run)["executionArn"]
    put_status(store, folder, State.RUNNING, execution=arn)
    with opened(browser, address) as seen:
        seen.page.on("dialog", lambda dialog: dialog.accept())
        with seen.page.expect_response("**/cancel/**") as answer:
            seen.page.get_by_role("button", name=f"cancel {folder.run}").click()
        assert answer.value.status == 202
        assert steps.describe_execution(executionArn=arn)["status"] == "ABORTED"
        assert seen.messages == []


def test_of_many_runs_the_newest_are_read_and_what_has_ended_once(
    store: Store, bucket: str, pipeline: str, aws: Callable[[str], Any]
) -> None:
    asked: list[str] = []

    def clients(service: str) -> Any:
        client = aws(service)
        heard = lambda model, **_: asked.append(model.name)  # noqa: E731
        client.meta.events.register("before-call", heard, unique_id="asked")
        return client

    steps, runs = aws("stepfunctions"), RunList(clients, bucket, ("runs/", "results/"), pipeline)
    names = [f"r-{i:012x}" for i in range(30)]
    for name in names:
        steps.start_execution(stateMachineArn=pipeline, name=name)
        folder = RunFolder(bucket, "runs/", name)
        put_status(store, folder, State.SUCCEEDED, outputs={"metrics.json": "m"})
    for execution in steps.list_executions(stateMachineArn=pipeline)["executions"]:
        steps.stop_execution(executionArn=execution["executionArn"])
    asked.clear()
    newest = runs.page(most=5)
    assert [r["run"] for r in newest["runs"]] == names[:-6:-1]
    assert newest["total"] == 30
    once = {"ListExecutions": 1, "ListObjectsV2": 2}  # of each of two prefixes
    assert Counter(asked) == {"GetObject": 2 * 5, **once}, "status and metrics of those shown"
    asked.clear()
    assert runs.page(most=5) == newest
    assert Counter(asked) == once
    assert [r["run"] for r in runs.page(first=28, most=5)["runs"]] == names[1::-1]


def test_a_run_that_was_resumed_is_read_again(
    store: Store, bucket: str, pipeline: str, aws: Callable[[str], Any]
) -> None:
    steps, runs = aws("stepfunctions"), RunList(aws, bucket, ("runs/",), pipeline)
    folder = RunFolder(bucket, "runs/", "again-0123456789ab")
    put_status(store, folder, State.FAILED)
    assert [r["state"] for r in runs.page()["runs"]] == ["FAILED"]
    steps.start_execution(stateMachineArn=pipeline, name=f"{folder.run}-r1")
    put_status(store, folder, State.RUNNING)
    assert [r["state"] for r in runs.page()["runs"]] == ["RUNNING"]


def test_what_has_just_ended_is_read_again_for_its_page(
    store: Store, bucket: str, aws: Callable[[str], Any]
) -> None:
    runs, folder = RunList(aws, bucket, ("runs/",)), RunFolder(bucket, "runs/", "new-0123456789ab")
    put_status(store, folder, State.SUCCEEDED, updated_at=utc_now())
    assert [r["report"] for r in runs.page()["runs"]] == [False]
    outputs = {"report.html": folder.report.uri}
    put_status(store, folder, State.SUCCEEDED, updated_at=utc_now(), outputs=outputs)
    assert [r["report"] for r in runs.page()["runs"]] == [True]


def test_files_that_the_status_names_are_downloaded_and_no_others(
    address: str, store: Store, bucket: str
) -> None:
    folder = RunFolder(bucket, "runs/", "done-0123456789ab")
    outputs = dict.fromkeys(("catalogue.parquet", "plan.json", "../x", "ranks.json"), "x")
    put_status(store, folder, State.SUCCEEDED, outputs=outputs)
    store.put(folder.at("catalogue.parquet"), b"PAR1" * 100_000)
    store.put(folder.at("ranks.json"), b"secret")
    (run,) = json.loads(ask(address, "/api/runs")[1])["runs"]
    assert run["files"] == ["catalogue.parquet", "plan.json"]
    status, body, headers = ask(address, f"/file/runs/{folder.run}/catalogue.parquet")
    assert (status, body) == (200, b"PAR1" * 100_000)
    assert headers["Content-Disposition"] == 'attachment; filename="catalogue.parquet"'
    for name in ("plan.json", "ranks.json", "../x", "metrics.json", ""):  # the first is not there
        assert ask(address, f"/file/runs/{folder.run}/{name}")[0] == 404


def test_the_logs_of_a_run_are_the_lines_that_name_it(
    address: str, store: Store, bucket: str, tmp_path: Path
) -> None:
    folder = RunFolder(bucket, "runs/", "lost-0123456789ab")
    put_status(store, folder, State.FAILED)
    assert ask(address, f"/logs/runs/{folder.run}")[1].startswith(b"No function has logged")
    log = tmp_path / "logs" / "infer" / "1-a.log"
    log.parent.mkdir(parents=True)
    log.write_text(f'{{"run":"{folder.run}","x":"<b>"}}\n{{"run":"other"}}\n', encoding="utf-8")
    status, body, headers = ask(address, f"/logs/runs/{folder.run}")
    assert (status, body) == (200, f'infer: {{"run":"{folder.run}","x":"<b>"}}\n'.encode())
    assert headers["Content-Type"].startswith("text/plain")
    assert ask(address, "/logs/data/x")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/report/",
        "/report/runs/",
        "/report/data/x",
        "/report/runs/../data/x",
        "/report/runs/x",
        "/x",
    ],
)
def test_what_is_not_a_page_is_not_found(
    address: str, path: str, store: Store, bucket: str
) -> None:
    store.put(RunFolder(bucket, "data/", "x").report, b"secret")
    assert ask(address, path)[0] == 404


def test_no_script_of_another_origin_may_run(address: str, store: Store, bucket: str) -> None:
    folder = RunFolder(bucket, "results/", "r")
    store.put(folder.report, PAGE)
    assert "default-src 'none'; script-src 'self'" in ask(address)[2]["Content-Security-Policy"]
    _, body, headers = ask(address, "/report/results/r")
    assert body == PAGE
    assert headers["Content-Security-Policy"].endswith("sandbox")
    assert "script-src" not in headers["Content-Security-Policy"]


def test_a_run_that_can_not_be_read_hides_no_other(address: str, store: Store, bucket: str) -> None:
    store.put(RunFolder(bucket, "runs/", "broken").status, b"no JSON")
    put_status(store, RunFolder(bucket, "results/", "whole"), State.FAILED)
    runs = json.loads(ask(address, "/api/runs")[1])["runs"]
    assert [(r["run"], r["state"]) for r in runs] == [("whole", "FAILED")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_the_console(
    browser: Any, address: str, store: Store, bucket: str, scheme: str
) -> None:
    for i, state in enumerate((State.RUNNING, State.SUCCEEDED, State.PARTIAL, State.FAILED)):
        folder = RunFolder(bucket, "runs/", f"run-{i:012x}")
        outputs = {"report.html": "x", "catalogue.fits": "x"} if i else {}
        put_status(store, folder, state, warnings=("a warning",), outputs=outputs)
    with opened(browser, address, scheme=scheme) as seen:
        seen.page.locator("#runs tr").nth(3).wait_for()
        name = "th => th.getClientRects()[0].width"
        assert seen.page.locator("#runs th").first.evaluate(name) > 200, "ids stay in one line"
        seen.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert axe_violations(seen.page) == []
