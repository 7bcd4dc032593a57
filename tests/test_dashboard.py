"""The workspace that is saved in a W&B project."""

import csv
import json
import re

import pytest
from conftest import verb

from zerosum.commands.dashboard import dashboard
from zerosum.errors import UserError
from zerosum.report import dashboard as panels


def test_a_dry_run_prints_the_specification_without_key_package_and_network(monkeypatch):
    monkeypatch.setattr("zerosum.commands.dashboard.save", lambda *place: pytest.fail("saved"))
    specification = json.loads(dashboard(["me/mine", "--dry-run"]))
    assert (specification["entity"], specification["project"]) == ("me", "mine")
    assert list(specification["sections"]) == ["Game", "Quality", "Samples", "Speed", "Doctor", "Sweep"]


def test_every_name_that_a_run_logs_has_a_panel_in_its_section(logged_run):
    with (logged_run / "metrics.csv").open(newline="") as file:
        names = [name for name in next(csv.reader(file)) if name != "images"]
    for name in names:
        lines = [panel for panel in panels.SECTIONS[name.split("/")[0].capitalize()] if panel.kind == "lines"]
        assert any(re.match(panel.names, name) for panel in lines), name


def test_the_workspace_is_what_the_specification_says():
    pytest.importorskip("wandb_workspaces")
    workspace = panels.make_workspace("me", "mine")
    sections = workspace._to_model().spec.model_dump(by_alias=True)["section"]["panelBankConfig"]["sections"]
    assert [section["name"] for section in sections] == list(panels.SECTIONS)
    for section in sections:
        expected = panels.SECTIONS[section["name"]]
        assert len(section["panels"]) == len(expected)
        for made, panel in zip(section["panels"], expected, strict=True):
            written = json.dumps(made["config"]).replace(".value", "")  # config:training.value.batch_size
            assert all(json.dumps(name)[1:-1] in written for name in panel.names.split(", ") if name), panel
    lines = [panel["config"] for panel in sections[0]["panels"] if panel["viewType"] == "Run History Line Plot"]
    assert {config["xAxis"] for config in lines} == {"images"}


def test_what_is_missing_is_said_in_one_sentence(monkeypatch):
    with pytest.raises(UserError, match="write entity/project"):
        dashboard(["mine"])
    monkeypatch.setattr("wandb.login", lambda **options: False)
    with pytest.raises(UserError, match="`wandb login` sets one"):
        dashboard(["me/mine"])
    monkeypatch.setattr("zerosum.commands.dashboard.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'zerosum\[dashboard\]'"):
        dashboard(["me/mine"])


def test_the_verb_answers():
    assert '"Quality"' in verb("dashboard.py", "me/mine", "--dry-run")
