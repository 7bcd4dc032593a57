"""Write the report of a run or a sweep again: zerosum report outputs/<run>"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from zerosum.commands.messages import command
from zerosum.errors import UserError, one_line, printable


@command
def main() -> None:
    """Print the path of each report."""
    print("\n".join(printable(str(path)) for path in write_reports()))


def write_reports(arguments: Sequence[str] | None = None) -> list[Path]:
    """Write report.html into each folder; UserError if one holds no run and no sweep."""
    parser = argparse.ArgumentParser("report", description="Write report.html of runs and sweeps: one file each.")
    parser.add_argument("paths", nargs="+", type=Path, help="folders of runs or of sweeps, as in outputs/<run>")
    return [write_report(path) for path in parser.parse_args(arguments).paths]


def write_report(folder: Path) -> Path:
    """Write the report of a run, or of a sweep with those of its runs."""
    from zerosum.report.measured_runs import find_run_folders, is_run
    from zerosum.report.run_report import write_run_report
    from zerosum.report.sweep_report import write_sweep_report

    if is_run(folder):
        return write_run_report(folder)
    for run in find_run_folders(folder):
        if (run / "config.yaml").exists():
            try:
                write_run_report(run)
            except UserError as error:
                print(error)
            except Exception as error:  # whatever one job's damage raises, the others have their reports
                reason = printable(f"{type(error).__name__}: {one_line(error)}")
                print(f"{printable(str(run))}: its report could not be written ({reason}); train the run again")
    return write_sweep_report(folder)


if __name__ == "__main__":
    main()
