"""Measure a trained model again: python evaluate.py run=outputs/<run>"""

from zerosum.commands.evaluate import main

if __name__ == "__main__":
    main()
