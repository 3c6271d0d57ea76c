"""No page of another site may use what listens on this machine, whatever name it gives it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any

import pytest

from cosmic_local.applications import Guarded
from cosmic_local.client import client
from cosmic_local.emulator import bind, serving
from cosmic_local.guard import is_own
from cosmic_local.lambda_pool.runtime_api import RuntimeApi

FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.nip.io:{port}",
    "localhost.evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1:{port}:{port}",
    "127.0.0.1:{port}@evil.example:{port}",
    "169.254.169.254:{port}",
    "2130706433:{port}",
    "",
]
FOREIGN_PAGES = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:{port}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
]


def ask(port: int, method: str, path: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    given = {name: value.format(port=port) for name, value in headers.items()}
    connection.request(method, path, body=b"", headers=given)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.fixture(scope="module")
def emulator() -> Iterator[int]:
    """moto's server behind the guard, as the stack serves it."""
    server = bind()
    server.app = Guarded(server.app, server.port, "127.0.0.1")
    with serving(server):
        yield server.port


@pytest.fixture
def s3(emulator: int) -> Any:
    return client("s3", f"http://127.0.0.1:{emulator}", "us-east-1")


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_foreign_host_can_not_reset_the_emulator(emulator: int, s3: Any, host: str) -> None:
    s3.create_bucket(Bucket="kept")
    assert ask(emulator, "POST", "/moto-api/reset", {"Host": host}) == 421
    s3.head_bucket(Bucket="kept")


@pytest.mark.parametrize("page", FOREIGN_PAGES)
def test_a_foreign_page_can_not_reset_the_emulator(
    emulator: int, s3: Any, page: dict[str, str]
) -> None:
    s3.create_bucket(Bucket="kept")
    assert ask(emulator, "POST", "/moto-api/reset", page) == 403
    s3.head_bucket(Bucket="kept")


def test_a_foreign_page_can_not_ask_first_either(emulator: int) -> None:
    asks_first = {"Origin": "http://evil.example", "Access-Control-Request-Method": "DELETE"}
    assert ask(emulator, "OPTIONS", "/kept", asks_first) == 403


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_programs_on_this_machine_may(emulator: int, name: str) -> None:
    s3 = client("s3", f"http://{name}:{emulator}", "us-east-1")
    s3.create_bucket(Bucket=f"bucket-{len(name)}")
    s3.put_object(Bucket=f"bucket-{len(name)}", Key="key", Body=b"body")
    assert s3.get_object(Bucket=f"bucket-{len(name)}", Key="key")["Body"].read() == b"body"


@pytest.mark.parametrize(
    ("host", "bound", "own"),
    [
        ("172.17.0.1:80", "172.17.0.1", True),
        ("127.0.0.1:80", "172.17.0.1", True),
        ("172.17.0.2:80", "172.17.0.1", False),
        ("172.17.0.1:80", "127.0.0.1", False),
        ("[fd00::1]:80", "fd00::1", True),
        ("[::1]:80", "127.0.0.1", True),
        ("10.1.2.3:80", "0.0.0.0", True),
        ("[fd00::2]:80", "::", True),
        ("evil.example:80", "0.0.0.0", False),
        ("evil.example:80", "::", False),
    ],
)
def test_containers_name_the_address_that_the_stack_listens_on(
    host: str, bound: str, own: bool
) -> None:
    assert is_own(host, 80, bound) is own


class Nobody:
    """An execution environment that must never be asked."""

    function_arn = "arn"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was reached")


@pytest.mark.parametrize("path", ["invocation/next", "init/error", "invocation/x/response"])
@pytest.mark.parametrize("foreign", [{"Host": "evil.example:{port}"}, *FOREIGN_PAGES])
def test_a_foreign_page_is_no_runtime(path: str, foreign: dict[str, str]) -> None:
    api = RuntimeApi()
    listener = api.open(Nobody())
    try:
        method = "GET" if path.endswith("next") else "POST"
        port = listener.getsockname()[1]
        status = ask(port, method, f"/2018-06-01/runtime/{path}", foreign)
        assert status in (403, 421)
    finally:
        api.close_port(listener)
        api.close()
