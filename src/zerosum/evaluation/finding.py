"""A finding of the doctor: what is wrong with a run, the numbers that show it, and what to try."""

from dataclasses import asdict, dataclass
from typing import Any

MOST_FINDINGS = 100
"""In one run; the doctor knows ten"""
LONGEST_SENTENCE = 1_000
"""Characters"""


@dataclass(frozen=True)
class Finding:
    """One problem of a run; it holds from `since` to `until`, in images seen."""

    name: str
    """Such as vanishing_gradient"""
    sentence: str
    """The problem and its evidence in plain words"""
    override: str
    """Options of the command line to try"""
    evidence: dict[str, float]
    since: int
    until: int

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, node: Any) -> "Finding":
        """The inverse of `to_dict`; ValueError, KeyError or TypeError if the node is not a finding."""
        name, sentence, override = words = [node[key] for key in ("name", "sentence", "override")]
        if not all(isinstance(word, str) and len(word) <= LONGEST_SENTENCE for word in words):
            raise ValueError("a finding is told in words")
        since, until = times = [node[key] for key in ("since", "until")]
        if not all(type(time) is int and 0 <= time < 2**63 for time in times):
            raise ValueError("a finding holds from one number of images to another")
        evidence = node["evidence"]
        if not isinstance(evidence, dict) or len(evidence) > MOST_FINDINGS:
            raise ValueError("the evidence of a finding is named numbers")
        if not all(isinstance(name, str) and isinstance(value, int | float) for name, value in evidence.items()):
            raise ValueError("the evidence of a finding is named numbers")
        numbers = {key: float(value) for key, value in evidence.items()}
        return cls(name, sentence, override, numbers, since, until)


def findings_from(nodes: Any) -> list[Finding]:
    """A list of findings; ValueError, KeyError or TypeError if it is not."""
    if not isinstance(nodes, list) or len(nodes) > MOST_FINDINGS:
        raise TypeError(f"the findings are a list of at most {MOST_FINDINGS}")
    return [Finding.from_dict(node) for node in nodes]
