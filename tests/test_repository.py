"""Files of the repository that its site reads: they parse, and agree with pyproject.toml."""

import re
import tomllib

import pytest
import yaml
from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMS = ["bug.yml", "feature.yml"]


def load(path: str) -> dict:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_citation_has_the_version_and_licence_of_the_package():
    citation = load("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # required by the schema of 1.2.0
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])


def test_ci_runs_what_a_change_must_pass_on_the_oldest_python_and_two_newer():
    jobs = load(".github/workflows/ci.yml")["jobs"]
    versions = jobs["tests"]["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.12", "3.13"] and PROJECT["requires-python"] == f">={versions[0]}"
    assert jobs["tests"]["steps"][-1]["run"] == ".ci/run" and (ROOT / ".ci" / "run").exists()
    assert "pip-audit --strict" in jobs["vulnerabilities"]["steps"][-1]["run"]


@pytest.mark.parametrize("form", FORMS)
def test_forms_have_a_name_and_fields_of_their_own(form):
    content = load(f".github/ISSUE_TEMPLATE/{form}")
    assert content["name"] and content["description"]
    fields = [field["id"] for field in content["body"]]
    assert len(set(fields)) == len(fields) and all(field["attributes"]["label"] for field in content["body"])


def test_links_of_the_security_page_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)", (ROOT / "SECURITY.md").read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link
