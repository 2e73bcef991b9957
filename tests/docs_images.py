"""Pictures for docs/images, from made-up data: the first screens of a report and of a leaderboard.

python -m tests.docs_images [FOLDER]: keeps samples, build and runs in FOLDER. Needs Debian's chromium. The answers are
made up, with a skill that a trained model and an untrained one might have, so that no model is needed.
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from mmafflm.dataset import Dataset
from tests.eval.report.browser import VIEWS, chromium, opened
from tests.eval.report.report_runs import made_run

IMAGES = Path(__file__).parents[1] / "docs/images"
MOST_BYTES = 150_000
RUNS = {"example-trained": 0.7, "example-untrained": 0.3}  # made-up skill; no real model's name on made-up scores


def command(*words: str | Path) -> int:
    """Run one of our commands; returns its exit code."""
    name, *rest = map(str, words)
    return subprocess.run([str(Path(sys.executable).parent / name), *rest], check=False).returncode


def photograph(page: Path, name: str) -> None:
    """The first screen of a page as docs/images/NAME.webp, at the best quality that is small enough."""
    with chromium() as browser, opened(browser, page, VIEWS["desk"]) as found:
        picture = Image.open(io.BytesIO(found.page.screenshot()))
    for quality in (90, 75, 60, 45):
        file = io.BytesIO()
        picture.convert("RGB").save(file, "WEBP", quality=quality, method=6)
        if file.tell() <= MOST_BYTES:
            break
    else:
        sys.exit(f"{name}: {file.tell()} bytes at the lowest quality; the limit is {MOST_BYTES}")
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / f"{name}.webp").write_bytes(file.getvalue())
    print(f"{IMAGES / name}.webp: {file.tell() / 1000:.0f} kB")


def main(folder: Path) -> None:
    """Samples, build, two scored runs, their pages, and a picture of each page."""
    raw, built = folder / "raw", folder / "data"
    for words in (("mmaffin", "samples", "--out", raw), ("mmaffin", "build", "--raw", raw, "--out", built)):
        if command(*words):
            sys.exit(1)
    data = Dataset.open(built)
    runs = [made_run(data, folder / name, skill, resamples=200) for name, skill in RUNS.items()]
    page, board = folder / "report.html", folder / "leaderboard"
    if command("mmaffben", "report", *runs, "--data", built, "--out", page):
        sys.exit(1)
    photograph(page, "report")
    if command("mmaffben", "leaderboard", *runs, "--data", built, "--out", board):
        sys.exit("no picture of the leaderboard: mmaffben leaderboard failed, or is not there yet")
    photograph(board / "index.html", "leaderboard")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
