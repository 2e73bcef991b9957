"""Open a page in headless Chromium (Qt WebEngine, from PyPI) as a phone and as a desk: what it says on its console.

python tests/eval/browser.py PAGE.html OUT VIEW: two screenshots in OUT, and a JSON object on standard output.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

# No GPU, no screen and no sandbox in a container; the theme is a switch of Blink's (0 dark, 1 light).
_FLAGS = "--no-sandbox --disable-gpu --disable-background-networking --blink-settings=preferredColorScheme={}"
VIEWS = {"phone": (390, 844, 1), "phone-dark": (390, 844, 0), "desk": (1280, 900, 1), "desk-dark": (1280, 900, 0)}
_PROBE = """(() => { location.hash = "#EMOTIC_SI";
const all = [...document.querySelectorAll("*")];
const wide = all.filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, nav, .skip"));
return JSON.stringify({title: document.title, dark: matchMedia("(prefers-color-scheme: dark)").matches,
  scroll: document.documentElement.scrollWidth, inner: innerWidth,
  wide: wide.slice(0, 3).map(e => e.outerHTML.slice(0, 80)),
  open: document.getElementById("EMOTIC_SI").closest("details").open,
  broken: [...document.images].filter(i => !i.naturalWidth).length}) })()
"""


def look(page_file: Path, out: Path, view: str) -> None:
    """One view. Qt reads its flags at start, so each theme needs a process of its own."""
    width, height, scheme = VIEWS[view]
    os.environ |= {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_CHROMIUM_FLAGS": _FLAGS.format(scheme)}
    from PyQt6.QtCore import QTimer, QUrl
    from PyQt6.QtWebEngineCore import QWebEnginePage
    from PyQt6.QtWebEngineWidgets import QWebEngineView
    from PyQt6.QtWidgets import QApplication

    console: list[str] = []

    class Page(QWebEnginePage):
        def javaScriptConsoleMessage(self, level, message, line, source):
            console.append(f"{message} ({line})")

    app, window = QApplication(sys.argv[:1]), QWebEngineView()
    page = Page(window)
    window.setPage(page)
    window.resize(width, height)
    window.show()

    def later(call: Callable[[], None]) -> None:
        QTimer.singleShot(1000, call)  # ms, for the page to be painted

    def end(found: str) -> None:
        window.grab().save(str(out / f"{view}-rows.png"))
        print(json.dumps(json.loads(found) | {"view": view, "console": console}), flush=True)
        app.quit()

    def begin() -> None:
        window.grab().save(str(out / f"{view}.png"))
        page.runJavaScript(_PROBE, lambda found: later(lambda: end(found)))

    page.loadFinished.connect(lambda ok: later(begin) if ok else app.exit(4))
    page.load(QUrl.fromLocalFile(str(page_file.resolve())))
    QTimer.singleShot(60_000, lambda: app.exit(3))
    sys.exit(app.exec())


if __name__ == "__main__":
    look(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
