"""Measure what the equations of GANs say, where the truth is known: python theory.py density_ratio"""

from zerosum.commands.theory import main

if __name__ == "__main__":
    main()
