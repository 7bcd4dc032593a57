"""Hydra's sweep overrides as Optuna's distributions."""

from hydra.core.override_parser.types import IntervalSweep, Override, Transformer
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


def split(overrides: list[Override]) -> tuple[dict[str, BaseDistribution], list[str]]:
    """What is searched, and the overrides that every trial has; the later of two on one option counts."""
    last = {override.get_key_element(): override for override in overrides}
    searched = {name: distribution(override) for name, override in last.items() if override.is_sweep_override()}
    return searched, [f"{name}={last[name].get_value_element_as_str()}" for name in last if name not in searched]


def distribution(override: Override) -> BaseDistribution:
    """The values of choice(a,b), range(1,9) or interval(0,1); with tag(log, ...) their logarithm is uniform."""
    value = override.value()
    if not isinstance(value, IntervalSweep):
        return CategoricalDistribution([str(word) for word in override.sweep_iterator(transformer=Transformer.encode)])
    start, end, is_log = value.start, value.end, "log" in value.tags
    assert start is not None and end is not None
    if isinstance(start, int) and isinstance(end, int):
        return IntDistribution(start, end, log=is_log)
    return FloatDistribution(start, end, log=is_log)
