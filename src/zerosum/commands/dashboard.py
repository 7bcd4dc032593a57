"""Save a workspace of zerosum's panels in a W&B project: zerosum dashboard entity/project [--dry-run]"""

import argparse
import json
import re
from collections.abc import Sequence
from importlib.util import find_spec

from zerosum.commands.messages import command
from zerosum.errors import UserError, one_line
from zerosum.report.dashboard import describe, make_workspace

PLACE = re.compile(r"[\w.-]+/[\w.-]+")


@command
def main() -> None:
    """Print where the workspace was saved, or with --dry-run what it would be."""
    print(dashboard())


def dashboard(arguments: Sequence[str] | None = None) -> str:
    """Save the workspace and return its address; with --dry-run return its specification."""
    parser = argparse.ArgumentParser("dashboard", description="Save a workspace for runs of zerosum in a W&B project.")
    parser.add_argument("place", metavar="ENTITY/PROJECT", help="such as me/zerosum")
    parser.add_argument("--dry-run", action="store_true", help="print the specification, and save nothing")
    options = parser.parse_args(arguments)
    if not PLACE.fullmatch(options.place):
        raise UserError(f"{options.place} is not a place at W&B: write entity/project, such as me/zerosum")
    entity, project = options.place.split("/")
    if options.dry_run:
        return json.dumps(describe(entity, project), indent=1)
    return save(entity, project)


def save(entity: str, project: str) -> str:
    """Save the workspace; UserError without the package, a key or a server that takes it."""
    if find_spec("wandb_workspaces") is None:
        raise UserError("a dashboard needs wandb-workspaces: pip install 'zerosum[dashboard]'; --dry-run does not")
    import wandb

    try:
        if not wandb.login(prompt=False, verify=True, timeout=10):
            raise UserError("W&B has no key of yours: `wandb login` sets one; --dry-run needs none")
        workspace = make_workspace(entity, project)
        workspace.save()
        return f"written to {workspace.url}"
    except UserError:
        raise
    except Exception as error:  # the package raises whatever the server's answer makes it
        raise UserError(
            f"{entity}/{project} was not written ({one_line(error)}): check its name, your key and the network"
        ) from error


if __name__ == "__main__":
    main()
