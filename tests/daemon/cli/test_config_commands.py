"""`watchkeeper config`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.daemon.cli.conftest import Host


def test_init_writes_a_file_that_check_accepts(bare: Host) -> None:
    bare.config.unlink()

    wrote = bare.run("config", "init", str(bare.config))
    checked = bare.run("config", "check")

    assert (wrote.exit_code, checked.exit_code) == (0, 0)
    assert "nobody will be paged" in checked.stderr


def test_init_does_not_overwrite_unless_forced(bare: Host) -> None:
    before = bare.config.read_text()

    refused = bare.run("config", "init", str(bare.config))
    kept = bare.config.read_text()
    forced = bare.run("config", "init", "--force", str(bare.config))

    assert (refused.exit_code, kept) == (1, before)
    assert forced.exit_code == 0
    assert bare.config.read_text() != before


def test_init_without_a_file_prints_it(bare: Host) -> None:
    ended = bare.run("config", "init")

    assert "#[kafka]" in ended.stdout


def test_show_masks_secrets_and_tells_origins(bare: Host) -> None:
    bare.write('[sentry]\ndsn = "https://hunter2@sentry.example.org/1"\n')
    database = "postgresql+psycopg://u:hunter3@db/w"

    ended = bare.run(
        "config", "show", "--origin", environment={"WATCHKEEPER_DATABASE__URL": database}
    )

    assert ended.exit_code == 0
    assert "hunter" not in ended.output
    lines = {line.split(" = ")[0]: line for line in ended.stdout.splitlines()}
    assert lines["sentry.dsn"].endswith(f"# {bare.config}:4")
    assert lines["database.url"].endswith("# $WATCHKEEPER_DATABASE__URL")
    assert "u:***@db" in lines["database.url"]
    assert lines["web.listen"].endswith("# built-in")


def test_drop_ins_go_over_the_file(bare: Host) -> None:
    folder = bare.folder / "conf.d"
    folder.mkdir()
    (folder / "10.toml").write_text('[kafka]\ngroup_id = "other"\n')

    ended = bare.run("--config-dir", str(folder), "config", "show")
    nowhere = bare.run("--config-dir", str(bare.folder / "no"), "config", "show")

    assert 'kafka.group_id = "other"' in ended.stdout
    assert (nowhere.exit_code, "no such folder" in nowhere.stderr) == (78, True)


def test_schema_is_json(bare: Host) -> None:
    ended = bare.run("config", "schema")

    schema = json.loads(ended.stdout)
    assert schema["properties"]["kafka"]["properties"]["group_id"]["default"] == "watchkeeper"


def test_schemas_of_all_messages_are_written(bare: Host, tmp_path: Path) -> None:
    folder = tmp_path / "messages"

    ended = bare.run("config", "schema", "--messages", str(folder))

    assert ended.exit_code == 0
    names = {path.stem for path in folder.iterdir()}
    assert names >= {"prediction.v1", "command.v1", "incident.v1", "model.v1", "asyncapi"}
    for path in folder.glob("*.v1.json"):
        assert json.loads(path.read_text())["$id"] == f"urn:watchkeeper:{path.stem}"
