"""What the equations say and what training does: zerosum theory density_ratio"""

import argparse
import importlib
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerosum.commands.messages import command
from zerosum.errors import UserError, did_you_mean
from zerosum.experiment.compose import compose
from zerosum.experiment.early_checks import check_first, check_light_parts
from zerosum.theory.options import check_budget, check_heeded

if TYPE_CHECKING:
    from zerosum.theory.page import Page

SUBJECTS = {
    "density_ratio": "D is a density ratio, of every f-divergence",
    "game_value": "the value of the game and the Jensen-Shannon divergence",
    "vanishing_gradients": "what G learns from a D that is far ahead",
    "divergences": "KL, reverse KL and JSD: covering against seeking",
    "mode_collapse": "the Helvetica scenario, and what helps",
    "latent_dimension": "how many dimensions z needs",
    "label_smoothing": "why labels are smoothed on one side",
    "discriminator_steps": "how many steps D takes, k of Algorithm 1",
    "batch_norm": "why batch norm needs care",
    "dirac_gan": "the game as a vector field",
    "fixed_players": "the best G against a D that does not answer",
}
"""In the order of the index; each is theory/<name>.py with conf/experiment/theory/<name>.yaml"""


@command
def main() -> None:
    """Print a line for each page that was written."""
    run()


def run(arguments: Sequence[str] | None = None) -> None:
    """Measure one subject or all; without any, list them."""
    options = parse(arguments)
    names = list(SUBJECTS) if options.subject == "all" else [options.subject] if options.subject else []
    if not names:
        print("\n".join(f"  {name:20} {meaning}" for name, meaning in SUBJECTS.items()))
        print("\npython theory.py <subject> measures one, python theory.py all each of them.")
        return
    for name in names:
        check(name, options.options)
    check_folder(options.folder)
    started = time.time()
    try:
        for name in work_through(partial(write, options=options.options, folder=options.folder), names, options.jobs):
            print(options.folder / f"{name}.md", flush=True)
    except KeyboardInterrupt as interrupt:
        pages = [name for name in names if is_newer(options.folder / f"{name}.md", started)]
        told = f"Interrupted; in {options.folder}: {', '.join(pages)}." if pages else "Interrupted before any page."
        raise KeyboardInterrupt(told) from interrupt
    finally:
        save_pages_index(options.folder)


def check_folder(folder: Path) -> None:
    """UserError if pages could not be written, before minutes of work; makes the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"--folder {folder}: {error.strerror}: choose a folder that can be written to") from error


def is_newer(path: Path, moment: float) -> bool:
    """Whether the file exists and was written after the moment, in seconds of time.time()."""
    return path.exists() and path.stat().st_mtime >= moment


def save_pages_index(folder: Path) -> None:
    """Write index.md of the pages that the folder has, if it has any."""
    if any((folder / f"{name}.md").exists() for name in SUBJECTS):
        from zerosum.theory.index import save_index

        save_index(SUBJECTS, folder)


def work_through(work: Callable[[str], str], names: Sequence[str], jobs: int) -> Iterable[str]:
    """Work on each name, in so many processes of one thread, or in this one; the names in order, as they are done."""
    if jobs == 1 or len(names) == 1:
        yield from map(work, names)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(jobs, get_context("spawn"), end_at_interrupt) as pool:
        try:
            yield from pool.map(work, names)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def end_at_interrupt() -> None:
    """Let Ctrl-C end this process at once: the process that started it says what was interrupted."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; UserError at a subject that does not exist."""
    subjects = "\n".join(f"  {name:20} {meaning}" for name, meaning in SUBJECTS.items())
    parser = argparse.ArgumentParser(
        "theory",
        description=f"Measures what the equations of GANs say, where the truth is known.\n\nSubjects:\n\n{subjects}",
        epilog="python theory.py density_ratio model.width=32 run.images=50_000",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("subject", nargs="?", help="one of the above, or all")
    parser.add_argument("options", nargs="*", help="key=value, of those that the subject heeds")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of several subjects")
    parser.add_argument("--folder", type=Path, default=Path("outputs/theory"), help="where pages are written")
    options = parser.parse_intermixed_args(arguments)
    if options.jobs < 1:
        raise UserError(f"--jobs {options.jobs}: choose 1 or more processes")
    if options.subject not in (None, "all", *SUBJECTS):
        near = did_you_mean(options.subject, [*SUBJECTS, "all"])
        raise UserError(f"{options.subject}: there is no such subject, only {', '.join(SUBJECTS)} and all.{near}")
    return options


def check(name: str, options: Sequence[str]) -> None:
    """UserError at an option that is wrong or that the subject does not heed, before torch is imported."""
    check_heeded(name, options)
    config = compose(f"experiment=theory/{name}", *options)
    check_first(config)
    check_budget(name, config)


def write(name: str, options: Sequence[str], folder: Path) -> str:
    """Play the games of a subject, measure, and write its page; returns the name."""
    from zerosum.theory.page import save_page
    from zerosum.training.process import prepare_process, silence_libraries

    silence_libraries()
    prepare_process()
    save_page(examine(name, options), name, " ".join(["python theory.py", name, *options]), folder)
    return name


def examine(name: str, options: Sequence[str] = ()) -> "Page":
    """The page of a subject, with its games built from the preset and the options."""
    subject = importlib.import_module(f"zerosum.theory.{name}")
    page: Page = subject.examine(
        {label: build_trial(name, [*words.split(), *options]) for label, words in subject.VARIANTS.items()}
    )
    return page


def build_trial(name: str, options: Sequence[str]) -> Any:
    """A game of a preset with further options, without the callbacks and logs of a run."""
    from zerosum.experiment.build import build
    from zerosum.experiment.settings import validate

    config = compose(f"experiment=theory/{name}", *options)
    check_light_parts(config)
    config.callbacks, config.logger = {}, {}
    config.run.folder = "outputs/theory"
    return build(validate(config))


if __name__ == "__main__":
    main()
