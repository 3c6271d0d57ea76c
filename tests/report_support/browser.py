"""A real browser: Debian's Chromium, headless, with a profile of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TEXTS = """() => [...document.querySelectorAll("figure svg")].map(svg => ({
  name: svg.closest("figure").id,
  box: (b => [b.left, b.top, b.right, b.bottom])(svg.getBoundingClientRect()),
  texts: [...svg.querySelectorAll("text")].filter(t => t.textContent.trim()).map(t => ({
    text: t.textContent,
    size: parseFloat(getComputedStyle(t).fontSize) * svg.getBoundingClientRect().width
      / svg.viewBox.baseVal.width,
    box: (b => [b.left, b.top, b.right, b.bottom])(t.getBoundingClientRect()),
  })),
}))"""
CONTRASTS = """() => {
  const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const rgb = (css) => css.match(/[\\d.]+/g).map(Number);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const found = rgb(getComputedStyle(node).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const words = "h1,h2,h3,p,dt,dd strong,dd span,td,th,li,a,summary,text,.state";
  return [...document.querySelectorAll(words)]
    .filter(node => node.checkVisibility() && node.textContent.trim())
    .map(node => {
      const style = getComputedStyle(node);
      const paint = node.tagName === "text" && style.fill !== "none" ? style.fill : style.color;
      const [a, b] = [luminance(rgb(paint)), luminance(ground(node))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent.slice(0, 40)];
    });
}"""


AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def axe_source() -> str:
    """axe-core, as a script; skips the test where the package that brings it is not installed."""
    package = pytest.importorskip("axe_playwright_python", reason="pip install 'cosmic-cli[dev]'")
    return (files(package) / "axe.min.js").read_text(encoding="utf-8")


def axe_violations(page: Any) -> list[tuple[str, str]]:
    """What axe-core finds wrong in a page that is open: rule, and the element."""
    page.evaluate(f"() => {{ {axe_source()} }}")
    rules = {"runOnly": {"type": "tag", "values": AXE_TAGS}, "resultTypes": ["violations"]}
    found = page.evaluate("rules => axe.run(document, rules)", rules)
    assert found["testEngine"]["name"] == "axe-core"
    return [(v["id"], node["html"]) for v in found["violations"] for node in v["nodes"]]


@dataclass
class Seen:
    """A page that is open, and what it did that it should not: console messages, requests."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; skips the test where there is none."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, address: str, width: int = 1280, scheme: str = "light") -> Iterator[Seen]:
    """A page of the browser's at an address."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    seen = Seen(page)
    page.on("console", lambda message: seen.messages.append(message.text))
    page.on("pageerror", lambda error: seen.messages.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.goto(address)
    yield seen
    page.close()
