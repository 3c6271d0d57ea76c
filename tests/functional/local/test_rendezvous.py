"""The rendezvous server beside the functions."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from cosmic_local.stack import LocalStack

from .conftest import APP


def test_functions_know_where_it_is_and_its_secret(tmp_path: Path) -> None:
    with LocalStack(APP / "template.yaml", tmp_path, rendezvous=True) as stack:
        answered = stack.client("lambda").invoke(FunctionName="cosmic-First", Payload=b"{}")
        environment = json.load(answered["Payload"])["environment"]
        host, port = stack.info.rendezvous.split(":")
        assert environment["FMI_RENDEZVOUS"] == f"{host}:{port}"
        assert len(bytes.fromhex(environment["FMI_DEPLOYMENT_SECRET"])) == 32
        with socket.create_connection((host, int(port)), timeout=5):
            pass
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0


def test_without_one_functions_are_not_told_of_any(stack: LocalStack) -> None:
    answered = stack.client("lambda").invoke(FunctionName="cosmic-First", Payload=b"{}")
    environment = json.load(answered["Payload"])["environment"]
    assert stack.info.rendezvous == ""
    assert not {"FMI_RENDEZVOUS", "FMI_DEPLOYMENT_SECRET"} & set(environment)
