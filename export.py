"""Share a trained generator: python export.py run=outputs/<run> format=onnx license=mit"""

from zerosum.commands.export import main

if __name__ == "__main__":
    main()
