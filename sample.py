"""Images from a trained model: python sample.py run=outputs/<run> count=64 seed=0"""

from zerosum.commands.sample import main

if __name__ == "__main__":
    main()
