"""docs/make_tables.py: pages, results and the README's table from finished sweeps."""

import importlib.util
import json

from conftest import ROOT
from fake_runs import PROTOCOL, fake_run


def test_a_sweep_becomes_a_page_results_with_cards_of_three_parts_and_a_readme_table(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    make_tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_tables)
    monkeypatch.setattr(make_tables, "ROOT", tmp_path)
    for folder in ("docs", "benchmarks/results"):
        (tmp_path / folder).mkdir(parents=True)
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- digits_losses: made -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    for number, loss in enumerate(("Hinge", "Minimax")):
        fake_run(tmp_path / "outputs" / "digits_losses" / f"{number}_job", loss)
    make_tables.main(["digits_losses"])
    results = json.loads((tmp_path / "benchmarks" / "results" / "digits_losses.json").read_text(encoding="utf-8"))
    assert results.keys() == {"0_job", "1_job"} and results["0_job"].keys() == {"best", "last", "floor"}
    card = results["0_job"]["best"]["card"]
    assert card.keys() == {"protocol", "run", "code"} and card["protocol"] == PROTOCOL and card["run"]["images"] == 1000
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("<!-- end -->\nafter\n") and "old" not in text
    assert (
        "| Hinge | 1 | best | 4 |" in text
        and "| Hinge | 1 | best | 4 |" in (tmp_path / "docs" / "digits_losses.md").read_text()
    )
