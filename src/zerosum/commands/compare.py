"""Put runs side by side: zerosum compare outputs/<run> outputs/<sweep> ..."""

from zerosum.commands.messages import command
from zerosum.report import compare


@command
def main() -> None:
    """Print the table and write it with its chart."""
    print(compare.main())


if __name__ == "__main__":
    main()
