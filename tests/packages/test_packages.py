"""Every package is built as for a release, and installed where the sources are not to be seen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

import cosmic
import cosmic_cli
import fmilib

ROOT = Path(__file__).parents[2]
MAKE, GIT = (shutil.which(name) or name for name in ("make", "git"))
PACKAGES = re.findall(
    r"\S+", re.findall(r"^PACKAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0]
)
LINK = re.compile(r"\]\(([^)\s]+)")


@dataclass(frozen=True)
class Wheel:
    """A built wheel: its path, the folder of the package it was built from, and its files."""

    path: Path
    folder: Path
    files: dict[str, bytes]

    def sources(self) -> dict[str, bytes]:
        return {name: raw for name, raw in self.files.items() if ".dist-info/" not in name}

    def metadata(self) -> Message:
        (raw,) = (raw for name, raw in self.files.items() if name.endswith("/METADATA"))
        return Parser().parsestr(raw.decode())

    def licences(self) -> dict[str, bytes]:
        found = (name.partition(".dist-info/licenses/") for name in self.files)
        return {name: self.files["".join((a, b, name))] for a, b, name in found if name}


def _wheel(path: Path) -> Wheel:
    with ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    top = next(name for name in files if name.endswith("/py.typed")).split("/")[0]
    (folder,) = (ROOT / p for p in PACKAGES if (ROOT / p / "src" / top).is_dir())
    return Wheel(path, folder, files)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Wheel]:
    """What `make dist` makes; its check of the metadata has passed."""
    dist = tmp_path_factory.mktemp("dist")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        [MAKE, "dist", f"DIST={dist}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(list(dist.glob("*.tar.gz"))) == len(PACKAGES)
    return [_wheel(path) for path in sorted(dist.glob("*.whl"))]


@pytest.fixture(scope="module")
def installed(wheels: list[Wheel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheels.

    What they depend on comes from this environment's folder: a `.pth` adds that to the path, but
    reads no `.pth` in it, so the editable installs there don't count.
    """
    home = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin/python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python,
         "install", "--quiet", "--no-compile", "--no-deps", "--no-index",
         *(wheel.path for wheel in wheels)],
        check=True,
    )  # fmt: skip
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


def _run(command: list[str | Path], folder: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _tracked(folder: Path) -> dict[str, bytes]:
    """The files under a package's `src`, as a clone has them."""
    listed = subprocess.run(
        [GIT, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "."],
        cwd=folder / "src",
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    present = (name for name in listed.split("\0") if name and (folder / "src" / name).is_file())
    return {name: (folder / "src" / name).read_bytes() for name in present}


def test_every_package_of_the_project_is_built(wheels: list[Wheel]) -> None:
    found = {
        p.parent for glob in ("[!.]*/", "[!.]*/*/") for p in ROOT.glob(f"{glob}pyproject.toml")
    }
    assert {ROOT / name for name in PACKAGES} == found
    assert sorted(PACKAGES) == sorted(str(w.folder.relative_to(ROOT)) for w in wheels)


def test_a_wheel_has_every_file_of_its_sources_and_no_other(wheels: list[Wheel]) -> None:
    for wheel in wheels:
        sources, tracked = wheel.sources(), _tracked(wheel.folder)
        assert sorted(sources) == sorted(tracked)
        assert sources == tracked


def test_a_wheel_carries_the_licence_and_the_notice_of_its_data(wheels: list[Wheel]) -> None:
    for wheel in wheels:
        licences = wheel.licences()
        assert wheel.metadata()["License-Expression"] == "Apache-2.0"
        assert licences.pop("LICENSE") == (ROOT / "LICENSE").read_bytes()
        if any(name.endswith(".parquet") for name in wheel.sources()):
            assert licences.pop("NOTICE") == (ROOT / "NOTICE").read_bytes()
        assert not licences


def test_metadata_say_what_an_index_shows(wheels: list[Wheel]) -> None:
    for wheel in wheels:
        metadata = wheel.metadata()
        assert metadata["Version"] == cosmic.__version__
        for name in ("Summary", "Author", "Keywords", "Project-URL"):
            assert metadata[name], f"{wheel.path.name} has no {name}"


def test_links_in_what_an_index_renders_are_absolute(wheels: list[Wheel]) -> None:
    for wheel in wheels:
        links = LINK.findall(str(wheel.metadata().get_payload()))
        assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_only_versions_of_python_that_are_tested_are_claimed(wheels: list[Wheel]) -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    tested = set(workflow["jobs"]["test"]["strategy"]["matrix"]["python"])
    for wheel in wheels:
        claims = "\n".join(wheel.metadata().get_all("Classifier", []))
        assert set(re.findall(r"Python :: (3\.\d+)$", claims, re.MULTILINE)) == tested


def test_packages_import_where_the_sources_are_not_on_the_path(
    wheels: list[Wheel], installed: Path, tmp_path: Path
) -> None:
    names = sorted({name.split("/")[0] for wheel in wheels for name in wheel.sources()})
    program = f"import {', '.join(names)}\nfor m in ({', '.join(names)},): print(m.__file__)"
    shown = _run([installed / "bin/python", "-I", "-c", program], tmp_path).split()
    assert len(shown) == len(names)
    assert all(Path(file).is_relative_to(installed) for file in shown), shown


def test_the_installed_command_runs(installed: Path, tmp_path: Path) -> None:
    cosmic_command = installed / "bin/cosmic"
    assert _run([cosmic_command, "--version"], tmp_path) == f"cosmic {cosmic_cli.__version__}\n"
    assert "validate" in _run([cosmic_command, "--help"], tmp_path)


def test_the_installed_rendezvous_runs(installed: Path, tmp_path: Path) -> None:
    rendezvous: list[str | Path] = [installed / "bin/python", "-I", "-m", "fmilib.rendezvous"]
    assert _run([*rendezvous, "--version"], tmp_path) == f"fmilib {fmilib.__version__}\n"
