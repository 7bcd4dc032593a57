"""`seeds=3`: a sweep over the seeds 0, 1 and 2."""

from collections.abc import Sequence

from zerosum.errors import UserError

MOST = 10_000
MULTIRUN = ("-m", "--multirun")


def expand_seeds(words: Sequence[str]) -> list[str]:
    """The words of a command line with seeds=3 as a sweep over seed=0,1,2; UserError if it is no number of seeds."""
    typed = [word for word in words if word.lstrip("+").startswith("seeds=")]
    if not typed:
        return list(words)
    count = typed[-1].partition("=")[2]
    if len(typed) > 1 or any(word.startswith("seed=") for word in words):
        raise UserError("seeds: say it once, and leave seed=... out: seeds=3 trains with seed=0,1,2")
    if not (count.isascii() and count.isdigit() and 1 <= int(count) <= MOST):
        raise UserError(f"seeds={count}: how many, from 1 to {MOST:,}, as seeds=3, which trains with seed=0,1,2")
    axis = f"seed={','.join(map(str, range(int(count))))}"
    multirun = [] if set(MULTIRUN) & set(words) else ["--multirun"]
    return [*multirun, *(axis if word in typed else word for word in words)]
