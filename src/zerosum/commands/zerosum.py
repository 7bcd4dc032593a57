"""The console command: zerosum <verb> <options>."""

import os
import sys

VERBS = {
    "train": "train a model, continue a run, or sweep: zerosum train model=dcgan loss=nonsat",
    "evaluate": "measure a trained model again: zerosum evaluate run=outputs/<run>",
    "sample": "images from a trained model: zerosum sample run=outputs/<run> count=64",
    "export": "a generator to share, as safetensors, ONNX or torch.export: zerosum export run=outputs/<run>",
    "explore": "walks, arithmetic, inversion, a page of a trained generator: zerosum explore run=outputs/<run> page",
    "compare": "runs and sweeps side by side: zerosum compare outputs/<run> outputs/<sweep>",
    "report": "one page of a run or a sweep, written again: zerosum report outputs/<run>",
    "theory": "what the equations say, measured where the truth is known: zerosum theory density_ratio",
    "dashboard": "panels of runs in a W&B project: zerosum dashboard entity/project",
}


def main() -> None:
    """Run a verb as `python -m zerosum.commands.<verb>`, so that further processes can be started by the same words."""
    verb, *options = sys.argv[1:] or ["--help"]
    if verb in VERBS:
        os.execv(sys.executable, [sys.executable, "-m", f"zerosum.commands.{verb}", *options])
    lines = [f"  zerosum {name:9} {meaning}" for name, meaning in VERBS.items()]
    print(
        "\n".join(
            ["zerosum trains and compares generative models.", "", *lines, "", "zerosum <verb> --help says more."]
        )
    )
    if verb not in ("-h", "--help"):
        from zerosum.errors import did_you_mean

        print(f"error: zerosum {verb}: there is no such verb.{did_you_mean(verb, VERBS)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
