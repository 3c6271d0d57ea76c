"""The built functions in containers: `sam local invoke` with the ready events, a run end to end."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from container_lab.base import base_name, import_base, make_base
from container_lab.engine import running_engine, why_not
from container_lab.interpreter import SHIPPED, Interpreter, shipped
from container_lab.lab import Lab
from container_lab.wheels import fetch_wheels
from cosmic.client.stack import of_local
from cosmic.client.submit import submit
from cosmic.client.watch import Patience, watch
from cosmic.contracts.status import Status
from cosmic.data.synth.dataset import Sample, write_dataset

from .conftest import ROOT

REASON = why_not() or (None if shipped() else f"no Python {SHIPPED} (Debian 13 or pyenv has it)")
pytestmark = [
    pytest.mark.skipif(REASON is not None, reason=f"containers: {REASON}"),
    pytest.mark.timeout(600),
]
IMAGE = "inferfunction"
PATIENCE = Patience(start_s=300.0)  # sam builds an image at the first call of each function
MOST_BYTES = 240_000_000


@pytest.fixture(scope="module")
def python() -> Interpreter:
    """The Python that the image is based on."""
    found = shipped()
    assert found
    return found


@pytest.fixture(scope="module")
def lab(python: Interpreter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """All built and running; a model and data are in the bucket."""
    folder = tmp_path_factory.mktemp("lab")
    emulator = next((ROOT / ".venv-sam").rglob("aws-lambda-rie-x86_64"))
    with running_engine() as engine, tempfile.TemporaryDirectory() as heavy:
        wheels, base = Path(heavy) / "wheels", Path(heavy) / "base"
        fetch_wheels(wheels, python)
        make_base(base, python, wheels, emulator)
        docker = engine.inside("docker", "--host", engine.host)
        import_base(docker, base, [base_name(python), f"{base_name(python)}-x86_64"])
        lab = Lab(engine, folder)
        lab.build(python, wheels)
        (folder / "data").mkdir()
        write_dataset(folder / "data", Sample("catalog", split="test"), 500)
        with lab.running():
            model = ROOT / "models/tiny/astromae-tiny.safetensors"
            lab.put("models/astromae-tiny.safetensors", model)
            lab.put("data/demo/0.safetensors", folder / "data/0.safetensors")
            yield lab


def _end_of_two(lab: Lab, model: str) -> Status:
    """How a run of two ranks with a model ended, that began with the upload of its manifest."""
    document = json.loads((ROOT / "events/manifest.json").read_text())
    folder, _, _ = document["model"]["uri"].rpartition("/")
    document["model"]["uri"] = f"{folder}/{model}.safetensors"
    document["inference"]["world_size"] = 2
    manifest = lab.folder / f"two-{model}.json"
    manifest.write_text(json.dumps(document))

    def go() -> Any:
        target = of_local(lab.stack())
        *_, last = watch(target, submit(target, manifest), PATIENCE)
        return last.status

    ended: Status = lab.inside(go)
    return ended


@pytest.fixture(scope="module")
def status(lab: Lab) -> Status:
    """How a run ended that nothing stands in the way of."""
    return _end_of_two(lab, "astromae-tiny")


def test_a_run_goes_through_with_every_function_in_containers(lab: Lab, status: Status) -> None:
    assert (status.state, status.fmi, status.rows_out) == ("SUCCEEDED", "ok", 100), status
    log = lab.sam_log.read_text()
    assert log.count(f"Invoking Container created from {IMAGE}") == 2
    for name in ("Init", "Aggregate"):
        assert f"build/{name}Function as /var/task" in log


@pytest.mark.usefixtures("status")
def test_each_function_takes_its_ready_event(lab: Lab) -> None:
    lab.put("manifests/my first run.json", ROOT / "events/manifest.json")
    (started,) = lab.invoke("InitFunction", "s3-put")["runs"]
    assert started["state"] == "RUNNING"
    assert lab.invoke("InferFunction", "infer")["rows"] == 100
    ended = lab.invoke("AggregateFunction", "aggregate")
    assert ended == {"run": started["run"], "state": "SUCCEEDED"}


def test_a_rank_that_fails_leaves_the_same_status_as_in_processes(lab: Lab) -> None:
    """As `tests/e2e/test_pipeline.py` has it: `init` sees a checkpoint, and each rank another."""
    model = (ROOT / "models/tiny/astromae-tiny.safetensors").read_bytes()
    (lab.folder / "other").write_bytes(
        model.replace(b"concat_block.0.bias", b"concat_block.0.base")
    )
    lab.put("models/other.safetensors", lab.folder / "other")
    ended = _end_of_two(lab, "other")
    assert (ended.state, ended.rows_out) == ("FAILED", 0), ended
    assert [problem["code"] for problem in ended.problems] == ["rows-missing"]
    assert [missing["rank"] for missing in ended.missing] == [0, 1]
    for missing in ended.missing:
        assert missing["reason"].startswith("InputError: checkpoint-invalid: ")
        assert "concat_block.0" in missing["reason"]


@pytest.mark.parametrize("name", ["InitFunction", "InferFunction", "AggregateFunction"])
def test_a_handler_that_raises_is_an_error_to_who_invokes_it(lab: Lab, name: str) -> None:
    def go() -> Any:
        stack = lab.stack()
        function = stack.functions[name].name
        event = b'{"Records": [{}], "admit": {}}'
        reply = stack.client("lambda").invoke(FunctionName=function, Payload=event)
        return reply.get("FunctionError")

    assert lab.inside(go) == "Unhandled"


def test_the_image_is_of_the_python_that_it_is_named_after(lab: Lab) -> None:
    code = "import sys; print(*sys.version_info[:2], sep='.')"
    assert _run_image(lab, command=("-c", code)).strip() == SHIPPED


def test_the_image_runs_as_anyone_where_nothing_can_be_written(lab: Lab) -> None:
    code = """
import sys
sys.path[:0] = ["/var/task", "/var/runtime"]
import app
import fmilib.channels.tcp, fmilib.channels.store.redis, fmilib.channels.store.s3
print("torch" in sys.modules)
"""
    printed = _run_image(lab, command=("-c", code))
    assert printed.strip() == "False"


def test_the_image_is_small(lab: Lab, measured: Callable[[str], None]) -> None:
    sizes = lab.engine.docker("history", "--human=false", "--format", "{{.Size}}", IMAGE)
    *ours, _base = [int(size) for size in sizes.split()]
    measured(f"infer's image: {sum(ours) / 1e6:.0f} MB beside the base image")
    assert sum(ours) < MOST_BYTES


def test_the_share_of_the_image_that_a_start_reads_is_measured(
    lab: Lab, measured: Callable[[str], None]
) -> None:
    mounts = {
        "/touched.py": ROOT / "tests/container_lab/touched.py",
        "/tiny.safetensors": ROOT / "models/tiny/astromae-tiny.safetensors",
    }
    volumes = [w for at, file in mounts.items() for w in ("--volume", f"{file}:{at}:ro")]
    printed = _run_image(lab, *volumes, command=("/touched.py", "/tiny.safetensors"))
    read, there = (int(word) for word in printed.split())
    assert 0 < read < there
    measured(f"a start of infer reads {read / 1e6:.0f} of {there / 1e6:.0f} MB in its image")


def _run_image(lab: Lab, *flags: str, command: tuple[str, ...]) -> str:
    """What Python prints in the image, run by somebody without rights."""
    return lab.engine.docker(
        *("run", "--rm", "--network", "none", "--user", "993:993", "--cap-drop", "ALL"),
        *("--read-only", "--tmpfs", "/tmp", "--env", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=1769"),
        *("--env", "AWS_DEFAULT_REGION=eu-west-1", *flags),
        *("--entrypoint", "python3", IMAGE, *command),
    )
