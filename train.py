"""Train a model: python train.py model=dcgan loss=nonsat. Options: python train.py --help"""

from zerosum.commands.train import main

if __name__ == "__main__":
    main()
