"""`watchkeeper demo`: the real daemon on a simulated fleet."""

from watchkeeper.daemon.demo.run import run_demo
from watchkeeper.daemon.demo.stage import DemoOptions

__all__ = ["DemoOptions", "run_demo"]
