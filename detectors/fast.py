"""Compiled kernels: whether numba is here and wanted, and functions that become machine code.

A kernel is compiled when it is first called, or all at once by `warm`, and kept on disk, in
`$WATCHKEEPER_FAST_CACHE`, else below the state directory, else below `$XDG_CACHE_HOME`. Without
the extra `fast`, with WATCHKEEPER_FAST=0, and where a process may not make code, nothing here is
compiled and NumPy does the same.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import mmap
import os
import platform
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Example = Callable[[], tuple[Any, ...]]

# Kernels of so many versions of the program stay on disk.
_KEPT = 3
# How folders of kernels are called, and only these.
_OURS = re.compile(r"[0-9a-f]{16}")
_IMPORT = re.compile(r"^from watchkeeper\.([\w.]+) import (.+)$", re.MULTILINE)
_compiling = threading.RLock()
_put_off = threading.Event()


def available() -> bool:
    """Whether kernels are to be used: they can be had, and are not put off."""
    return not _put_off.is_set() and possible()


def possible() -> bool:
    """Whether kernels can be had: they are wanted, and nothing forbids it."""
    return _wanted() and _may_make_code()


def put_off() -> None:
    """Does without kernels until `take_up`, for instance while they are being compiled."""
    _put_off.set()


def take_up() -> None:
    """Uses kernels from here on, where they can be had."""
    _put_off.clear()


def forbidden() -> bool:
    """Whether kernels are wanted, but this process may not make code."""
    return _wanted() and not _may_make_code()


def _wanted() -> bool:
    """Whether numba is here and WATCHKEEPER_FAST is not 0."""
    return os.environ.get("WATCHKEEPER_FAST", "1") != "0" and _is_here()


@functools.cache
def _may_make_code() -> bool:
    """Whether memory may be written and executed: systemd's MemoryDenyWriteExecute forbids it, and
    numba cannot even be imported then."""
    try:
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    except OSError:
        return False
    return True


@functools.cache
def _is_here() -> bool:
    return importlib.util.find_spec("numba") is not None


class Kernel(Generic[P, R]):
    """A function that is compiled at its first call, for the types of the arguments `example`.

    Other kernels may call it: then it is compiled into them, for the types they give it, and
    needs no example of its own. Calling it needs numba: ask `available` first.
    """

    def __init__(self, function: Callable[P, R], example: Example | None, inline: bool) -> None:
        self.function = function
        self.example = example
        self.inline = inline
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function gives."""
        given: R = self.compiled(*args, **kwargs)
        return given

    @functools.cached_property
    def compiled(self) -> Callable[..., Any]:
        """The machine code."""
        with _compiling:
            return _compiled(self.function, self.example, self.inline)

    @property
    def _numba_type_(self) -> Any:
        """How numba sees it inside another kernel."""
        return self.compiled._numba_type_  # type: ignore[attr-defined]


def kernel(
    example: Example | None = None, apart: bool = False
) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Makes a kernel of a function; `example` gives arguments of the types it takes, None is for
    one that only other kernels call. It becomes part of these, unless it is to stay `apart`: what
    is long and rarely called had better."""

    def made(function: Callable[P, R]) -> Kernel[P, R]:
        each = Kernel(function, example, example is None and not apart)
        if example is not None:
            _KERNELS.append(each)
        return each

    return made


_KERNELS: list[Kernel[Any, Any]] = []


def warm() -> None:
    """Compiles every kernel of the modules imported so far, or takes it from the disk."""
    if possible():
        for each in _KERNELS:
            _ = each.compiled


def folder() -> Path | None:
    """Where compiled kernels are kept; None where nothing can be."""
    return _cache()


def complete() -> bool:
    """Whether all kernels of this program are on disk, for this processor."""
    mark = _mark()
    return mark is not None and mark.exists()


def note_complete() -> None:
    """Notes that they are."""
    mark = _mark()
    if mark is not None:
        mark.touch()


def _mark() -> Path | None:
    """numba compiles anew for another processor, and for another version of itself."""
    place = _cache()
    if place is None:
        return None
    try:
        processor = Path("/proc/cpuinfo").read_text("utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        processor = [platform.processor()]
    kind = [line for line in processor if line.startswith(("model name", "flags", "Features"))]
    told = [*(kind or processor[:1]), sys.version, *map(version, ("numba", "llvmlite", "numpy"))]
    return place / f"complete-{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}"


def _compiled(
    function: Callable[..., Any], example: Example | None, inline: bool
) -> Callable[..., Any]:
    numba: Any = importlib.import_module("numba")  # heavy: only where a kernel is really used
    # What only other kernels call becomes part of these: it is not kept on disk by itself.
    folder = None if example is None else _cache()
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)
    types = None if example is None else tuple(map(numba.typeof, example()))
    # Kernels take arrays and give numbers: nothing needs counted references, which would cost more
    # than the work that is done.
    compiler = numba.njit(
        types,
        nogil=True,
        error_model="numpy",
        cache=folder is not None,
        forceinline=inline,
        _nrt=False,
    )
    made: Callable[..., Any] = compiler(function)
    return made


@functools.cache
def _cache() -> Path | None:
    """The folder of this program's kernels; None where nothing can be written.

    numba looks only at the file of the outermost function, so the folder's name tells every file
    with kernels apart, and every file whose constants are compiled into them. Those of other
    versions go in time; whatever else lies beside them stays.
    """
    base = _cache_base()
    try:
        folder = base / _stamp()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours = [each for each in base.iterdir() if _OURS.fullmatch(each.name)]
        ours.sort(key=lambda each: each.stat().st_mtime, reverse=True)
    except OSError:
        return None
    for old in [each for each in ours if each != folder][_KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
    return folder if os.access(folder, os.W_OK) else None


def _cache_base() -> Path:
    given = os.environ.get("WATCHKEEPER_FAST_CACHE")
    if given:
        return Path(given)
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if state:
        return Path(state) / "kernels"
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches) / "watchkeeper" / "kernels"


def _stamp() -> str:
    """A name for the source of all kernels."""
    digest = hashlib.sha256()
    for file in sorted(sources(Path(__file__).resolve().parent.parent)):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def sources(root: Path) -> set[Path]:
    """The files with kernels, and those that these import."""
    found = {f for part in ("detectors", "daemon") for f in (root / part).rglob("*fast*.py")}
    texts = [file.read_text("utf-8") for file in found]
    return found.union(*(_imported(root, text) for text in texts if "@kernel(" in text))


def _imported(root: Path, text: str) -> Iterator[Path]:
    for module, names in _IMPORT.findall(text):
        place = root / module.replace(".", "/")
        parts = [place / name.split()[0] for name in names.strip("() ").split(",") if name]
        yield from (f for each in (place, *parts) if (f := each.with_suffix(".py")).is_file())
