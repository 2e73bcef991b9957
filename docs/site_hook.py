"""A hook of mkdocs: makes the page of all commands from their help texts, so that the page is never out of date."""

import subprocess
import sys
from typing import Any

from mkdocs.structure.files import File, Files

APPS = {"mmaffin": "data_build.cli", "mmafflm": "mmafflm.cli", "mmaffben": "eval.cli"}
HEAD = "# Commands\n\nMade from `--help` of each command. `make help` lists the Make targets.\n\n"


def on_files(files: Files, config: Any) -> Files:
    """Add reference/commands.md, made from the help texts of all commands. mkdocs calls this."""
    texts = [
        subprocess.run(
            [sys.executable, "-m", "typer", module, "utils", "docs", "--name", name],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name, module in APPS.items()
    ]
    pages = "\n".join(text.replace("\n#", "\n##").replace("# ", "## ", 1) for text in texts)
    files.append(File.generated(config, "reference/commands.md", content=HEAD + pages))
    return files
