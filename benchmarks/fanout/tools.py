"""What the benchmark needs besides Python: a C compiler, and Node with `ws`. Both are made in a temporary folder."""

import os
import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent
_INSTALL_S = 120


class MissingError(Exception):
    """Something is not installed here; the text says what to do."""


def compiled(name: str, folder: Path) -> Path:
    """The program of a source file of this folder.

    Raises:
        MissingError: If there is no compiler, or it cannot compile this.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise MissingError("there is no C compiler here; install one with `sudo apt install gcc`")
    made = subprocess.run(
        [compiler, "-O2", "-o", str(folder / name), str(SOURCES / f"{name}.c")],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise MissingError(f"{name}.c cannot be compiled here: {made.stderr.splitlines()[0]}")
    return folder / name


def node_with_ws(folder: Path) -> dict[str, str]:
    """The environment in which `node` finds `ws`: what is installed, or what npm brings into the folder.

    Raises:
        MissingError: If there is no Node, or `ws` cannot be had.
    """
    if shutil.which("node") is None:
        raise MissingError("there is no Node here; install it with `sudo apt install nodejs npm`")
    for path in (os.environ.get("NODE_PATH", ""), "/usr/share/nodejs", "/usr/lib/node_modules"):
        if _has_ws(environment := {**os.environ, "NODE_PATH": path}):
            return environment
    if shutil.which("npm") is None:
        raise MissingError("there is no npm here to install `ws` with; install it with `sudo apt install npm`")
    installing = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "ws@8"]
    try:
        subprocess.run(installing, capture_output=True, timeout=_INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        raise MissingError("npm does not reach its registry; try `npm install ws@8` by hand") from None
    environment = {**os.environ, "NODE_PATH": str(folder / "node_modules")}
    if not _has_ws(environment):
        raise MissingError("npm could not install `ws`; try `npm install ws@8` by hand to see why")
    return environment


def _has_ws(environment: dict[str, str]) -> bool:
    asked = subprocess.run(["node", "-e", "require('ws')"], env=environment, capture_output=True, check=False)
    return asked.returncode == 0
