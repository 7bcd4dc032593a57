"""Write the report of runs and sweeps again: python report.py outputs/<run> outputs/<sweep> ..."""

from zerosum.commands.report import main

if __name__ == "__main__":
    main()
