"""The packages that nothing can be read without, and what to say where one is missing."""

from __future__ import annotations

from importlib import import_module

# By module: what is lost without it.
NEEDED = {
    "crc32c": "reading is many times slower",
    "lz4.frame": "records compressed with lz4 are refused",
    "snappy": "records compressed with snappy are refused",
    "zstandard": "records compressed with zstd are refused",
}
FIX = "pip install crc32c 'kafka-python[lz4,snappy,zstd]'"


def missing() -> list[str]:
    """The modules that cannot be imported."""
    return [module for module in NEEDED if not _is_here(module)]


def told(modules: list[str]) -> str:
    """One sentence about those that are missing.

    >>> told(["crc32c", "snappy"])[:47]
    'packages crc32c, snappy are missing, which this'
    """
    names = ", ".join(module.partition(".")[0] for module in modules)
    subject = f"package {names} is" if len(modules) == 1 else f"packages {names} are"
    return f"{subject} missing, which this program cannot do without: {FIX}"


def about(error: ImportError) -> str:
    """The same of a failed import; "" where it was of anything else."""
    root = (error.name or "").partition(".")[0]
    return told([root]) if root in {each.partition(".")[0] for each in NEEDED} else ""


def _is_here(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True
