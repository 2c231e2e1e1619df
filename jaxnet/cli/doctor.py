"""`jaxnet doctor`: is this installation sound, what is missing, and what to type about it."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxnet import __version__
from jaxnet.cli.output import emit

_PACKAGES = (
    *("jax", "jaxlib", "optax", "chex", "numpy", "pydantic", "PyYAML", "safetensors", "rich"),
    *("jaxtyping", "pyarrow", "scikit-learn", "matplotlib"),
)
# extra -> (what it is for, the imports that it brings)
_EXTRAS = {
    "cuda12": ("NVIDIA GPUs, CUDA 12", ("jax_cuda12_plugin",)),
    "cuda13": ("NVIDIA GPUs, CUDA 13", ("jax_cuda13_plugin",)),
    "tpu": ("Google TPUs", ("libtpu",)),
    "bench": ("the peers in scripts/bench_training.py", ("torch", "keras")),
    "dev": (
        "the tests, and tables of pandas and polars",
        ("pytest", "hypothesis", "beartype", "mpmath", "pandas", "polars"),
    ),
}
_CHECK_SECONDS = 0.5

Findings = dict[str, Any]


def run(args: argparse.Namespace) -> int:
    """Look, print, and return 0 where all is well or 1 where something must be mended."""
    findings = examine()
    emit(json.dumps(findings, indent=2) if args.json else as_text(findings))
    return 0 if findings["ok"] else 1


def examine() -> Findings:
    """Everything that is looked at, as it goes into the JSON.

    Returns:
        "ok", "problems" (each with the fix to type), "warnings", and what was found.
    """
    problems: list[str] = []
    warnings: list[str] = []
    findings: Findings = {
        "versions": _versions(problems),
        "devices": [],
        "threads": _threads(),
        "sums": None,
        "cache": None,
        "extras": _extras(),
    }
    if findings["versions"]["jax"] and findings["versions"]["jaxlib"]:
        findings["devices"] = _devices(problems)
        if findings["devices"]:
            findings["sums"] = _sums(findings["devices"][0]["platform"], problems, warnings)
    findings["cache"] = _cache(warnings)
    return {"ok": not problems, "problems": problems, "warnings": warnings, **findings}


def _versions(problems: list[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version(), "jaxnet": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
            problems.append(f"{name} is missing; in the checkout, type: scripts/setup")
    return found


def _devices(problems: list[str]) -> list[dict[str, Any]]:
    try:
        from jaxnet.training.selfcheck import devices

        return devices()
    except (ImportError, RuntimeError, AssertionError) as error:  # what JAX raises in its trouble
        wanted = f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')}"
        reason = " ".join(str(error).split()) or f"{wanted} names none that is here"
        problems.append(f"JAX finds no device: {reason}; try: JAX_PLATFORMS= jaxnet doctor")
        return []


def _threads() -> dict[str, Any]:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    settings = ("NPROC", "OMP_NUM_THREADS", "XLA_FLAGS", "JAX_PLATFORMS", "TF_CPP_MIN_LOG_LEVEL")
    return {
        "cores": os.cpu_count(),
        "cores_for_this_process": allowed,
        "environment": {name: os.environ[name] for name in settings if name in os.environ},
    }


def _sums(where: str, problems: list[str], warnings: list[str]) -> Findings:
    from jaxnet.errors import RunFailed
    from jaxnet.training import selfcheck

    version = importlib.metadata.version("jaxlib")
    try:
        warnings += selfcheck.selfcheck(seconds=_CHECK_SECONDS, version=version, platform=where)
    except RunFailed as error:
        problems.append(str(error))
        return {"ok": False, "jaxlib": version}
    return {"ok": True, "jaxlib": version, "checked": where == "cpu"}


def _cache(warnings: list[str]) -> Findings | None:
    from jaxnet.training import compilation_cache

    root = compilation_cache.default_directory()
    if root is None:
        warnings.append("there is no home for a compilation cache; set XDG_CACHE_HOME")
        return None
    folder = root / compilation_cache.processor()
    contents = compilation_cache.inspect(folder)
    if contents.damaged:
        warnings.append(
            f"entries of the compilation cache cut short: {len(contents.damaged)}; "
            "the next run deletes them"
        )
    if _is_closed(root):
        warnings.append(
            f"the compilation cache cannot be written: {root}; every run compiles anew. "
            "Set XDG_CACHE_HOME to a folder of yours"
        )
    return {
        "folder": str(folder),
        "mode": f"{stat.S_IMODE(folder.stat().st_mode):o}" if folder.is_dir() else None,
        "entries": contents.entries,
        "bytes": contents.size,
        "damaged": list(contents.damaged),
    }


def _is_closed(folder: Path) -> bool:
    """Whether the folder, or the nearest one above it that exists, cannot be written."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK))


def _extras() -> dict[str, Findings]:
    found = {}
    for name, (purpose, imports) in _EXTRAS.items():
        missing = [one for one in imports if importlib.util.find_spec(one) is None]
        install = f".venv/bin/python -m pip install --editable '.[{name}]'"
        found[name] = {"for": purpose, "missing": missing, "install": install if missing else None}
    return found


def as_text(findings: Findings) -> str:
    """The findings for a person: sections, then warnings and problems, then the verdict."""
    return "\n".join(_lines(findings))


def _lines(findings: Findings) -> Iterator[str]:
    yield "versions"
    for name, version in findings["versions"].items():
        yield f"  {name:<14}{version or 'missing'}"
    yield "devices"
    for one in findings["devices"]:
        yield f"  {one['platform']}:{one['id']}  {one['kind']}"
    threads = findings["threads"]
    yield f"  {threads['cores_for_this_process']} of {threads['cores']} cores for this process"
    for name, value in threads["environment"].items():
        yield f"  {name}={value}"
    yield f"sums\n  {_about_sums(findings['sums'])}"
    yield f"compilation cache\n  {_about_cache(findings['cache'])}"
    yield "extras (from the checkout)"
    for name, extra in findings["extras"].items():
        state = f"missing {', '.join(extra['missing'])}" if extra["missing"] else "installed"
        yield f"  {name:<8}{extra['for']}: {state}"
        if extra["install"]:
            yield f"          {extra['install']}"
    for kind in ("warnings", "problems"):
        for text in findings[kind]:
            yield f"{kind.removesuffix('s')}: {text}"
    yield "all is well" if findings["ok"] else f"{len(findings['problems'])} to mend, see above"


def _about_sums(sums: Findings | None) -> str:
    if sums is None:
        return "not checked"
    if not sums["ok"]:
        return f"WRONG with jaxlib {sums['jaxlib']}"
    return "right" if sums["checked"] else "not checked: training runs on an accelerator"


def _about_cache(cache: Findings | None) -> str:
    if cache is None:
        return "none"
    if cache["mode"] is None:
        return f"{cache['folder']} (not made yet)"
    size = f"{cache['bytes'] / 1e6:.1f} MB"
    return f"{cache['folder']} (mode {cache['mode']}, {cache['entries']} programs, {size})"
