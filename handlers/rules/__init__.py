"""The rules that say what is at fault, one file a kind."""

from watchkeeper.handlers.rules.attack import Attack
from watchkeeper.handlers.rules.data import Data
from watchkeeper.handlers.rules.host import Host
from watchkeeper.handlers.rules.labels import Labels
from watchkeeper.handlers.rules.model import Model
from watchkeeper.handlers.rules.serving import Serving
from watchkeeper.handlers.types import Rule

RULES: tuple[Rule, ...] = (Data(), Model(), Serving(), Host(), Attack(), Labels())

__all__ = ["RULES", "Attack", "Data", "Host", "Labels", "Model", "Serving"]
