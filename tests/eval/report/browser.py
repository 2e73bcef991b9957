"""A page in headless Chromium (Debian's, driven by Playwright): what it shows, logs and requests from the network.

python -m tests.eval.report.browser PAGE.html OUT: screenshots of every view and section in OUT, to look at.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

CHROMIUM = shutil.which("chromium")
# No GPU and no sandbox in a container; and Chromium itself must not use the network.
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


class View(NamedTuple):
    """One way to look at a page."""

    width: int
    height: int
    dark: bool = False
    phone: bool = False
    media: str = "screen"


VIEWS = {
    "phone": View(390, 844, phone=True),
    "phone-dark": View(390, 844, dark=True, phone=True),
    "desk": View(1280, 900),
    "desk-dark": View(1280, 900, dark=True),
    "wide": View(1920, 1080),
    "print": View(794, 1123, media="print"),  # A4 at 96 px per inch
}
SECTIONS = (
    "scores", "strict-averages", "languages", "semeval2018_arabic", "XED", "EMOTIC_SI", "FER2013", "MELD_EC",
    "diagnosis", "diagnosis-0-intensity-drift", "diagnosis-0-language-collapse", "diagnosis-0-label-prior",
    "diagnosis-0-format", "paper", "provenance",
)  # fmt: skip

# Elements wider than the screen, except in boxes that scroll; and pictures that did not load.
PROBE = """() => {
  const all = [...document.querySelectorAll("body *")];
  const wide = all.filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, nav, .skip"));
  return {title: document.title, dark: matchMedia("(prefers-color-scheme: dark)").matches,
    print: matchMedia("print").matches, scroll: document.documentElement.scrollWidth, inner: innerWidth,
    wide: wide.slice(0, 3).map(e => e.outerHTML.slice(0, 80)),
    pictures: document.images.length,
    broken: [...document.images].filter(i => !i.complete || !i.naturalWidth).length} }
"""
# The height of the page in pixels.
HEIGHT = "() => document.documentElement.scrollHeight"
# Text with less than 4.5 to 1 contrast to its background (WCAG AA), except in drawings.
CONTRAST = """() => {
  const parse = said => said.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((one, at) => one * a + below[at] * (1 - a));
  const behind = e => e ? over(parse(getComputedStyle(e).backgroundColor), behind(e.parentElement)) : [255, 255, 255];
  const light = colour => { const [r, g, b] = colour.map(one => one / 255).map(
    one => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05 };
  const written = e => [...e.childNodes].some(one => one.nodeType === 3 && one.data.trim());
  const ratio = e => { const back = behind(e), ink = over(parse(getComputedStyle(e).color), back);
    const [low, high] = [light(back), light(ink)].sort((a, b) => a - b); return high / low };
  return [...document.querySelectorAll("body *:not(script)")].filter(e => !e.closest("svg") && written(e))
    .map(e => [ratio(e), e.outerHTML.slice(0, 90)]).filter(([found]) => found < 4.5).slice(0, 5) }
"""
# The direction of a text, by its content.
DIRECTIONS = """() => [...document.querySelectorAll("p.said")].filter(e => e.textContent.trim())
  .map(e => [e.textContent, getComputedStyle(e).direction])"""
# The element with the keyboard focus, as a place in the page; and whether it opens something.
FOCUSED = """() => { const e = document.activeElement;
  if (!e || e === document.body) return null;
  const outline = getComputedStyle(e).outlineStyle !== "none";
  return {at: [...document.querySelectorAll("*")].indexOf(e), tag: e.tagName, outline,
    closed: e.tagName === "SUMMARY" && !e.parentElement.open} }"""
REACHABLE = """() => { const all = [...document.querySelectorAll("*")];
  return [...document.querySelectorAll("summary, a[href], [tabindex='0']")].map(e => all.indexOf(e)) }"""


class Opened(NamedTuple):
    """A page in one view, with what it wrote to the console and every address it asked for."""

    page: Any
    console: list[str]
    asked: list[str]


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium with a temporary profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, what: Path | str, view: View) -> Iterator[Opened]:
    """A file (without a network) or an address, opened in a view."""
    context = browser.new_context(
        viewport={"width": view.width, "height": view.height}, color_scheme="dark" if view.dark else "light",
        has_touch=view.phone, is_mobile=view.phone, offline=isinstance(what, Path),
    )  # fmt: skip
    page = context.new_page()
    found = Opened(page, [], [])
    page.on("console", lambda said: found.console.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: found.console.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (found.console.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: found.asked.append(request.url))
    page.emulate_media(media=view.media)
    page.goto(what.resolve().as_uri() if isinstance(what, Path) else what, wait_until="load")
    try:
        yield found
    finally:
        context.close()


def open_all(page: Any) -> None:
    """Open everything that can be opened."""
    page.evaluate("() => document.querySelectorAll('details').forEach(one => one.open = true)")


def walk(page: Any, most: int) -> tuple[set[int], list[str]]:
    """Tab through the page and open things with Enter; returns the places that had the focus, and the faults found."""
    seen: set[int] = set()
    amiss: list[str] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            if seen:
                break
            continue
        seen.add(focused["at"])
        if not focused["outline"]:
            amiss.append(f"no outline: {focused}")
        if focused["closed"]:
            page.keyboard.press("Enter")
            if page.evaluate(FOCUSED)["closed"]:
                amiss.append(f"Enter does not open it: {focused}")
    return seen, amiss


def photograph(page: Any, out: Path, name: str) -> None:
    """Screenshots of the screen as it is, the beginning of every section, and some subsets with everything open."""
    page.screenshot(path=out / f"{name}.png")
    open_all(page)
    for part in SECTIONS:
        if page.evaluate(
            "id => { const e = document.getElementById(id); if (e) e.scrollIntoView(); return !!e }", part
        ):
            page.screenshot(path=out / f"{name}-{part}.png")


def main(file: Path, out: Path) -> None:
    """Screenshots of every view."""
    out.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for name, view in VIEWS.items():
            with opened(browser, file, view) as found:
                photograph(found.page, out, name)
                print(name, json.dumps(found.page.evaluate(PROBE)), found.console)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
