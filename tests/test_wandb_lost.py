"""W&B online, and the server goes away; in a process of its own, since W&B keeps much of what others did in one."""

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.slow
def test_a_server_that_goes_away_costs_no_row_and_a_bounded_wait():
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(ROOT / "tests" / "wandb_server_lost.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
