"""W&B online and its server goes away, and `wandb sync` afterwards.

Each in a process of its own, since W&B keeps much of what others did in one.
"""

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("file", ["wandb_server_lost.py", "wandb_sync.py"])
def test_no_row_is_lost_and_none_comes_twice(file):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(ROOT / "tests" / file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
