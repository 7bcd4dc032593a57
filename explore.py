"""Explore a trained generator: python explore.py run=outputs/<run> walk"""

from zerosum.commands.explore import main

if __name__ == "__main__":
    main()
