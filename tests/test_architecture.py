"""The borders of the packages (design: "Layout and imports"), read from the source without importing it."""

import ast
import builtins
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("ngsi", "broker", "agents", "pilots")
MAY_IMPORT = {"ngsi": {"ngsi"}, **{name: {name, "ngsi"} for name in PACKAGES if name != "ngsi"}}
PROTOCOLS_MAY_IMPORT = ("agents.measure", "agents.errors", "agents.protocols", "cbor2", "orjson")
DATABASE_DRIVERS = {"pymongo", "bson", "gridfs"}
# The information model gets its input and the time as arguments.
NOT_IN_THE_MODEL = {"aiohttp", "asyncio", "fastapi", "httpx", "paho", "random", "socket", "starlette", "subprocess"}
NOT_IN_THE_MODEL |= {"structlog", "threading", "time", "uuid"}
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "manager", "managers", "data", "info", "common", "misc"}
MODULE_LINES, FUNCTION_LINES = 500, 60

SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in [*SOURCES, *TESTS]}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def every_source(path: Path) -> str:
    return named(path)


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules (and of the names taken from them) that a file imports, also inside functions."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            yield from (f"{base}{node.module or ''}.{alias.name}".replace("..", ".") for alias in node.names)


def top(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=every_source)
def test_imports_go_in_one_direction(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    others = set(PACKAGES) | {"tests"}
    assert {name for name in imported(path) if top(name) in others - MAY_IMPORT[package]} == set()


@pytest.mark.parametrize("path", SOURCES, ids=every_source)
def test_database_driver_is_named_only_in_the_mongo_modules(path: Path) -> None:
    if path.parent in (ROOT / "broker" / "storage", ROOT / "agents" / "storage") and path.name.startswith("mongo"):
        return
    assert {name for name in imported(path) if top(name) in DATABASE_DRIVERS} == set()


@pytest.mark.parametrize("path", sorted((ROOT / "agents" / "protocols").rglob("*.py")), ids=every_source)
def test_protocols_import_only_measures_and_errors(path: Path) -> None:
    foreign = {
        name
        for name in imported(path)
        if top(name) not in sys.stdlib_module_names
        and not any(name == allowed or name.startswith(f"{allowed}.") for allowed in PROTOCOLS_MAY_IMPORT)
    }
    assert foreign == set()
    assert {name for name in imported(path) if top(name) in {"asyncio", "logging", "time"}} == set()


@pytest.mark.parametrize("path", sorted((ROOT / "ngsi").rglob("*.py")), ids=every_source)
def test_information_model_has_no_network_and_no_clock(path: Path) -> None:
    assert {name for name in imported(path) if top(name) in NOT_IN_THE_MODEL} == set()
    clock_calls = [
        f"line {node.lineno}: {node.func.attr}()"
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"now", "utcnow", "today"}
    ]
    assert clock_calls == []


def exception_names() -> set[str]:
    """Exception classes of Python and of every errors.py."""
    names = {
        name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
    }
    for path in SOURCES:
        if path.name == "errors.py":
            names |= {node.name for node in ast.walk(TREES[path]) if isinstance(node, ast.ClassDef)}
    return names


def test_exceptions_are_defined_only_in_errors_files() -> None:
    known = exception_names()
    strays = [
        f"{named(path)}: {node.name}"
        for path in SOURCES
        if path.name != "errors.py"
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).rpartition(".")[2] in known for base in node.bases)
    ]
    assert strays == []


def test_no_module_or_class_has_a_vague_name() -> None:
    modules = [named(path) for path in SOURCES if set(path.stem.split("_")) & VAGUE_NAMES]
    classes = [
        f"{named(path)}: {node.name}"
        for path in SOURCES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.ClassDef) and node.name.lower().endswith(("utils", "helper", "manager"))
    ]
    assert modules + classes == []


def test_every_queue_has_a_bound() -> None:
    unbounded = [
        f"{named(path)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in {"Queue", "SimpleQueue", "LifoQueue", "PriorityQueue"}
        and not node.args
        and not any(keyword.arg == "maxsize" for keyword in node.keywords)
    ]
    assert unbounded == []


def test_no_failure_is_swallowed_unseen() -> None:
    broad = {"Exception", "BaseException"}
    swallowed = [
        f"{named(path)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in broad)
        and all(isinstance(statement, ast.Pass) for statement in node.body)
    ]
    assert swallowed == []


def test_modules_and_functions_stay_small() -> None:
    long = [
        f"{named(path)}: {count} lines"
        for path, tree in TREES.items()
        if (count := max((getattr(node, "end_lineno", 0) or 0 for node in tree.body), default=0)) > MODULE_LINES
    ]
    long += [
        f"{named(path)}: {node.name}, {count} lines"
        for path in SOURCES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (count := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert long == []
