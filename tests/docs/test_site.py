"""The documentation's site and the pages of it that are made from code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cosmic_cli.reference import write_manifest_reference
from report_support.browser import chromium, opened

ROOT = Path(__file__).parents[2]
STATUS = re.compile(
    r"\*\*Status\*\*: (?P<status>accepted|superseded by \[ADR \d+\]\(\d{4}-[a-z-]+\.md\))"
    r", (?P<date>\d{4}-\d\d-\d\d)\."
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built without a warning."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_has_its_pages_and_fetches_nothing_from_elsewhere(site: Path) -> None:
    home = (site / "index.html").read_text()
    assert "The first catalogue" in home
    assert re.findall(r'<(?:script|link rel="stylesheet")[^>]*(?:src|href)="https?:', home) == []


def test_its_search_finds_pages_from_disk(site: Path) -> None:
    with chromium() as browser, opened(browser, (site / "adr/index.html").as_uri()) as seen:
        seen.page.locator("input.md-search__input").click(force=True)
        meta = seen.page.locator(".md-search-result__meta")
        meta.get_by_text("Type to start searching").wait_for(state="attached")
        seen.page.keyboard.type("conformal")
        found = seen.page.locator("a.md-search-result__link")
        found.first.wait_for(state="attached")
        links = [str(each.get_attribute("href")).partition("?")[0] for each in found.all()]
        assert (site / "adr/0036-quantiles-of-p-z.html").as_uri() in links
        assert seen.messages == []
        assert all(address.startswith(("file:", "data:")) for address in seen.requests)


def test_the_manifest_reference_is_that_of_the_code(tmp_path: Path) -> None:
    for file in ("manifest.md", "manifest.schema.json"):
        (tmp_path / file).write_bytes((ROOT / "docs" / file).read_bytes())
    write_manifest_reference(tmp_path)
    for file in ("manifest.md", "manifest.schema.json"):
        assert (tmp_path / file).read_text() == (ROOT / "docs" / file).read_text()


def test_every_decision_is_listed_with_its_status_and_date() -> None:
    listed = (ROOT / "docs/adr/index.md").read_text().splitlines()
    for page in sorted((ROOT / "docs/adr").glob("[0-9]*.md")):
        title, _, status = page.read_text().splitlines()[:3]
        found = STATUS.match(status)
        assert found, f"{page.name} has no status with a date in its third line"
        link = f"[{title.removeprefix('# ')}]({page.name})"
        assert f"| {link} | {found['status']} | {found['date']} |" in listed


def test_the_citation_names_the_licence_of_the_packages() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_the_tests_that_pages_name_exist() -> None:
    for page in ("reliability.md", "security.md"):
        named = set(re.findall(r"`(tests/[\w/.-]+)`", (ROOT / "docs" / page).read_text()))
        assert named
        assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_finding_is_listed() -> None:
    listed = (ROOT / "findings/README.md").read_text()
    scripts = sorted((ROOT / "findings").glob("*.sh"))
    assert scripts
    for script in scripts:
        assert f"[{script.name}]({script.name})" in listed
        assert script.stat().st_mode & 0o111, f"{script.name} can't be executed"


def test_contributing_says_what_every_kind_of_test_is_for() -> None:
    said = (ROOT / "CONTRIBUTING.md").read_text()
    for kind in {path.relative_to(ROOT).parts[1] for path in ROOT.glob("tests/*/**/test_*.py")}:
        assert f"`tests/{kind}`" in said
