"""Put runs side by side: python compare.py outputs/<run> outputs/<sweep> ..."""

from pathlib import Path

from zerosum.commands.messages import explained

CONF = Path(__file__).parent / "conf"

if __name__ == "__main__":
    from zerosum.report import compare

    with explained(CONF):
        print(compare.main())
