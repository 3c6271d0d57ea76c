"""The local console: it lists runs, follows a live one, opens its page, and is for this machine."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.status import State, Status
from cosmic.storage.objects import Store
from report_support.browser import opened

EVIL = "<img src=x onerror=alert(1)>"
PAGE = b"<!doctype html><title>the page</title><script>document.title = 'ran'</script><h1>Hi</h1>"


def put_status(store: Store, folder: RunFolder, state: State, **more: Any) -> None:
    status = Status(
        run=folder.run,
        state=state,
        manifest="s3://b/manifests/m.json",
        updated_at="2026-11-26T10:00:00.000+00:00",
        world_size=4,
        rows_in=100,
        **more,
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
            row.get_by_role("link", name="report of demo-0123456789ab").click()
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


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_done_but_looked_at(address: str, method: str) -> None:
    assert ask(address, method=method)[0] == 501


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
