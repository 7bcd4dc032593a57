"""Save a workspace of zerosum's panels in a W&B project: python dashboard.py entity/project [--dry-run]"""

from zerosum.commands.dashboard import main

if __name__ == "__main__":
    main()
