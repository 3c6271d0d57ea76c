"""What the command line does before any command: errors, bugs, help, completion, the reference."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import cosmic_cli
from cosmic.errors import InputError, TransientError
from cosmic_cli import program
from cosmic_cli.command_reference import reference
from cosmic_cli.commands import local
from cosmic_cli.exit_codes import Exit

ROOT = Path(__file__).parents[3]
COSMIC = Path(sys.executable).with_name("cosmic")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run a command line in this process; its exit code."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["cosmic", *words])
        return program.exit_code(as_json="--json" in words)

    return call


def commands(
    path: tuple[str, ...] = (), group: Any = None
) -> Iterator[tuple[tuple[str, ...], Any]]:
    group = group or typer.main.get_command(program.application())
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands((*path, name), command)
        else:
            yield (*path, name), command


@pytest.mark.parametrize(("words", "command"), list(commands()), ids=lambda w: str(w)[:40])
def test_every_command_has_help_with_an_example_and_a_shape(
    words: tuple[str, ...], command: Any
) -> None:
    assert f"cosmic {' '.join(words)}" in command.help.partition("Example: ")[2]
    assert "\nJSON: " in command.help
    assert "--json" in [option for p in command.params for option in p.opts]


@pytest.mark.parametrize(("words", "command"), list(commands()), ids=lambda w: str(w)[:40])
def test_every_example_is_understood(words: tuple[str, ...], command: Any) -> None:
    example = command.help.partition("Example: ")[2].partition("\n\n")[0]
    given = example.partition(f"cosmic {' '.join(words)}")[2].rstrip(")")
    command.make_context(words[-1], shlex.split(given))


def test_the_version_needs_no_command(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == Exit.DONE
    assert capsys.readouterr().out == f"cosmic {cosmic_cli.__version__}\n"
    assert not typer.main.get_command(program.application(program.VERSION)).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [*program.COMMANDS, *program.GROUPS])
def test_a_part_of_the_command_line_is_as_in_the_whole(name: str) -> None:
    part: Any = typer.main.get_command(program.application(name))
    whole: Any = typer.main.get_command(program.application())
    assert list(part.commands) == [name]
    shown = [group.commands[name].get_help(typer.Context(group)) for group in (part, whole)]
    assert shown[0] == shown[1]


@pytest.mark.process
def test_a_command_starts_without_what_others_need() -> None:
    """All of it takes a second more."""
    code = "import sys; from cosmic_cli.program import application; application('status'); "
    code += "print([m for m in ('samtranslator', 'pyarrow', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_reference_is_up_to_date() -> None:
    made = (ROOT / "docs/cli.md").read_text()
    assert made == reference(), "run python -m cosmic_cli.command_reference > docs/cli.md"


@pytest.mark.parametrize(
    "words",
    [
        ("submit",),
        ("nonsense",),
        ("runs", "--nonsense"),
        ("runs", "--limit", "0"),
        ("demo", "--objects", "many"),
        ("data", "pack", "x", "--out", "y", "--column", "mag"),
        ("data", "synth", "--out", "x", "--objects", "5", "--partition-size", "large"),
        ("rendezvous", "--log-level", "loud"),
    ],
)
def test_what_can_not_be_understood_is_one_line_and_exit_code_2(
    words: tuple[str, ...], run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == Exit.INVALID
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert run(*words, "--json") == Exit.INVALID
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["exit"] == 2
    assert error["message"]


def test_the_local_stack_starts_from_the_template_of_the_source_where_none_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert local.template_of(None) == Path(__file__).parents[3] / "template.yaml"
    (tmp_path / "template.yaml").write_text("")
    assert local.template_of(None) == Path("template.yaml")


@pytest.mark.parametrize(
    "words",
    [
        ("validate", "none.json"),
        ("data", "inspect", "none.safetensors"),
        ("data", "pack", "none", "--out", "x"),
        ("model", "inspect", "none.safetensors"),
        ("model", "verify", "none.safetensors"),
        ("bench", "engine"),
        ("local", "up", "--template", "none.yaml"),
        ("local", "logs"),
        ("runs", "--local"),
        ("plan", "none.json", "--local"),
    ],
)
def test_what_is_not_there_is_exit_code_4(
    words: tuple[str, ...], run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, "--json") == Exit.NOT_FOUND
    shown = capsys.readouterr()
    assert shown.out == ""
    assert json.loads(shown.err)["error"]["hint"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x"), Exit.INVALID),
        (InputError("x", code="no-run"), Exit.NOT_FOUND),
        (TransientError("x"), Exit.FAILED),
        (typer.Exit(3), Exit.PARTIAL),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
    ],
)
def test_errors_have_their_exit_codes(
    error: BaseException, code: Exit, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr(program, "application", fail)
    assert run("x") == code


def test_a_bug_asks_to_be_reported_with_its_trace(
    run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(_: str) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(program, "application", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run("x") == Exit.BUG
    shown = capsys.readouterr().err
    (trace,) = tmp_path.glob("cosmic-bug-*.txt")
    assert shown.startswith("bug: ZeroDivisionError: by nothing. This is a bug in cosmic")
    assert str(trace) in shown
    assert "Traceback" not in shown
    assert "Traceback" in trace.read_text()
    assert run("x", "--json") == Exit.BUG
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "bug"


def test_validate_says_the_same_as_json(
    run: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good = {
        "version": 1,
        "job": "j",
        "model": {"uri": "s3://bkt/m"},
        "data": {"uri": "s3://bkt/d/"},
    }
    (tmp_path / "good.json").write_text(json.dumps(good))
    assert run("validate", "good.json", "--json") == Exit.DONE
    assert json.loads(capsys.readouterr().out) == {"valid": True, "job": "j", "problems": []}
    (tmp_path / "bad.json").write_text(json.dumps({**good, "job": "No Way"}))
    assert run("validate", "bad.json", "--json") == Exit.INVALID
    found = json.loads(capsys.readouterr().out)
    assert [p["pointer"] for p in found["problems"]] == ["/job"]


@pytest.mark.process
def test_doctor_says_what_is_missing_and_the_way_out(
    run: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("doctor", "--json") == Exit.DONE
    found = json.loads(capsys.readouterr().out)
    project = next(c for c in found["checks"] if c["name"] == "project")
    assert (found["ok"], project["ok"], project["needed"]) == (True, False, False)
    monkeypatch.setattr("cosmic_cli.doctor.PACKAGES", ("no-such-package",))
    assert run("doctor") == Exit.FAILED
    shown = capsys.readouterr().out
    assert "missing no-such-package: not installed (needed: part of the local stack" in shown
    assert "make env" in shown


@pytest.mark.process
def test_a_benchmark_runs_in_a_checkout(
    run: Any, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "bench/small").mkdir(parents=True)
    (tmp_path / "bench/__init__.py").touch()
    (tmp_path / "bench/small/__main__.py").write_text("import sys; print(sys.argv[1:])")
    assert run("bench", "--json") == Exit.DONE
    assert json.loads(capfd.readouterr().out) == {"benches": ["small"]}
    assert run("bench", "small", "--json", "--", "--rows", "5") == Exit.DONE
    shown = capfd.readouterr()
    assert json.loads(shown.out)["exit"] == 0
    assert "['--rows', '5']" in shown.err
    assert run("bench", "large") == Exit.NOT_FOUND


def test_models_are_inspected_and_verified(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(ROOT / "models/tiny/astromae-tiny.safetensors")
    assert run("model", "inspect", path, "--json") == Exit.DONE
    found = json.loads(capsys.readouterr().out)
    assert (found["parameters"], found["card"]["sha256"]) == (233_001, found["sha256"])
    assert run("model", "verify", path, "--json") == Exit.DONE
    verified = json.loads(capsys.readouterr().out)
    assert [e["agrees"] for e in verified["engines"]] == [True, True, True]
    assert any(e["deviation"] > 0 for e in verified["engines"])
    assert run("model", "verify", path, "--sha256", "0" * 64, "--json") == Exit.INVALID


def test_rendezvous_needs_a_secret(
    run: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMI_DEPLOYMENT_SECRET", "short")
    assert run("rendezvous", "--json") == Exit.INVALID
    assert "no-secret" in capsys.readouterr().err


@pytest.mark.process
def test_rendezvous_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    secret = {**os.environ, "FMI_DEPLOYMENT_SECRET": "0" * 64}
    words = [str(COSMIC), "rendezvous", "--port", "0", "--json"]
    with subprocess.Popen(
        words, env=secret, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr
        assert "listening on 127.0.0.1:" in server.stderr.readline()
        server.terminate()
        out, _ = server.communicate(timeout=30)
    assert (server.returncode, json.loads(out)) == (0, {"exit": 0})


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "wanted"), [("cosmic res", "results"), ("cosmic data pa", "pack")]
)
def test_the_shell_completes_commands(words: str, wanted: str) -> None:
    asked = {"_COSMIC_COMPLETE": "complete_bash", "COMP_WORDS": words}
    asked["COMP_CWORD"] = str(len(words.split()) - 1)
    done = subprocess.run(
        [COSMIC], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert wanted in done.stdout.split(), done.stderr
