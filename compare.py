"""Put runs side by side: python compare.py outputs/<run> outputs/<sweep> ..."""

from zerosum.commands.compare import main

if __name__ == "__main__":
    main()
