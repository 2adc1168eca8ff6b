"""What is shown: every setting, documented, in the example and in the schema."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.config.written import all_settings
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.check import Checked
from watchkeeper.daemon.config.describe import (
    Setting,
    config_schema,
    example,
    markdown,
)
from watchkeeper.daemon.config.layers import Layer


@pytest.mark.parametrize("setting", all_settings(), ids=lambda each: each.key)
def test_every_setting_is_documented(setting: Setting) -> None:
    assert len(setting.text) > 5
    assert f"### `{setting.key}`" in markdown()


def test_the_example_sets_nothing_and_shows_everything(tmp_path: Path) -> None:
    assert tomllib.loads(example()) == {}
    shown = "\n".join(
        line.removeprefix("#")
        for line in example().splitlines()
        if line.startswith("#") and not line.startswith("# ")
    )

    table = tomllib.loads(shown)

    assert Checked(Layer("file", table), Config).problems == []
    hidden = {"kafka.sasl_password", "mlflow.token"}
    for setting in all_settings():
        if setting.key not in hidden:
            at: Any = table
            for part in setting.key.split("."):
                at = (at[0] if isinstance(at, list) else at)[part]


def test_the_schema_knows_every_setting() -> None:
    text = json.dumps(config_schema())

    assert json.loads(text)["additionalProperties"] is False
    for setting in all_settings():
        assert f'"{setting.name}"' in text
