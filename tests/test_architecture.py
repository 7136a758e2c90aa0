"""Who may import whom: the contracts of pyproject.toml, and the rules that name the few who may."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("gateway", "codecs", "client")

IMPORTERS = {
    # The cloud's client, the server for laptops with the client that watches it, and the fake cloud. The parts around
    # them get objects that are already open.
    "aiohttp": ("gateway.cloud", "gateway.live", "gateway.simulator", "insiders_gateway_client"),
    # Only this module has to change, or to be replaced in tests, when the radio's library does.
    "bleak": ("gateway.bluetooth.scanner",),
    # Ours: adapters that come and go, of which bleak tells nothing. The simulator's: the other side of the bus.
    "dbus_fast": ("gateway.bluetooth.adapters", "gateway.simulator.bluez"),
    # Certificates are made in one place, and only when one has to be.
    "cryptography": ("gateway.tls",),
    "msgpack": ("insiders_codecs.live", "insiders_gateway_client"),
    # The terminal is for commands; a daemon that draws is a mistake.
    "rich": (
        "gateway.__main__",
        "gateway.administration",
        "gateway.cli",
        "gateway.demo",
        "gateway.gaps",
        "gateway.pair",
        "gateway.recordings",
        "gateway.scan",
        "gateway.terminal",
        "gateway.trackers",
        "gateway.watch",
    ),
    # To let a device in: shown in the terminal, and on the page.
    "segno": ("gateway.administration", "gateway.live.routes.people"),
    "sqlite3": ("gateway.store",),
    "watchfiles": ("gateway.uploads.taking.watching",),
}
"""Library -> the modules and packages that may import it."""

PARTS_OF = {"pydantic_core": "pydantic", "yarl": "aiohttp"}
"""Library that another one's interface consists of -> that one."""

ONLY = {
    # A bug in the client's decoding must not hide in the simulator.
    "gateway.simulator": ("gateway.cloud.endpoints",),
    "gateway.config": (
        "gateway.cloud.endpoints",
        "gateway.config_values",
        "gateway.credentials",
        "gateway.mistakes",
        "insiders_codecs.address",
        "insiders_codecs.errors",
    ),
    # Whoever copies it out of here has a client that works.
    "insiders_gateway_client": (),
    "gateway.problems": (),
    "gateway.service": (),
    "gateway.log": ("gateway.secret",),
}
"""Module or package -> all of the project that it may import besides itself."""


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(
        "gateway", "insiders_codecs", "insiders_gateway_client", include_external_packages=True, cache_dir=None
    )


def within(module: str, packages: Collection[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """The contracts of `folder`'s pyproject.toml, over `folder`'s sources."""
    paths = [str(folder), str(folder / "codecs")]
    code = f"import sys; sys.path[:0] = {paths}; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, timeout=60, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for source in SOURCES:
        shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "wrong"),
    [
        ("gateway/telemetry/__init__.py", "import gateway.live"),
        ("gateway/fleet/__init__.py", "import gateway.telemetry"),
        ("gateway/cloud/__init__.py", "import gateway.config"),
        ("gateway/live/__init__.py", "import gateway.service"),
        ("gateway/simulator/__init__.py", "import gateway.trackers"),
        ("codecs/insiders_codecs/__init__.py", "import gateway"),
        ("codecs/insiders_codecs/__init__.py", "from time import monotonic"),
        ("gateway/nowhere.py", "import gateway.config"),
    ],
)
def test_a_wrong_import_breaks_a_contract(copy: Path, module: str, wrong: str) -> None:
    (copy / "gateway/trackers.py").touch()
    with (copy / module).open("a") as file:
        file.write(f"\n{wrong}\n")
    result = lint_imports(copy)
    assert result.returncode == 1
    assert "1 broken" in result.stdout


@pytest.mark.parametrize("library", IMPORTERS)
def test_a_library_is_imported_where_it_belongs(imports: grimp.ImportGraph, library: str) -> None:
    if library in imports.modules:
        importers = imports.find_modules_that_directly_import(library)
        assert [module for module in sorted(importers) if not within(module, IMPORTERS[library])] == []


@pytest.mark.parametrize("part", ONLY)
def test_a_part_knows_no_more_of_the_project_than_it_may(imports: grimp.ImportGraph, part: str) -> None:
    assert part in imports.modules
    known = {
        imported
        for module in (part, *imports.find_descendants(part))
        for imported in imports.find_modules_directly_imported_by(module)
        if within(imported, ("gateway", "insiders_codecs")) and not within(imported, (part,))
    }
    assert sorted(known - set(ONLY[part])) == []


def test_libraries_are_those_the_project_declares(imports: grimp.ImportGraph) -> None:
    """What is imported and not declared is there by accident, through another library."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.partition("\ndependencies = [")[2].partition("\n]")[0]
    declared = {name.replace("-", "_") for name in re.findall(r'(?m)^\s*"([\w-]+)', block)}
    libraries = {module for module in imports.modules if imports.is_module_squashed(module)} - sys.stdlib_module_names
    assert {PARTS_OF.get(library, library) for library in libraries} - declared == set()


def test_a_package_file_holds_only_its_docstring() -> None:
    """But for the client's, from which its users import."""
    for source in ("gateway", "codecs"):
        for path in (ROOT / source).rglob("__init__.py"):
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert len(body) == 1, path
            assert isinstance(body[0], ast.Expr), path
