"""Put runs side by side: python compare.py outputs/<run> outputs/<sweep> ..."""

from pathlib import Path

from zerosum.messages import explained

CONF = Path(__file__).parent / "conf"

if __name__ == "__main__":
    from zerosum import comparison

    with explained(CONF):
        print(comparison.main())
