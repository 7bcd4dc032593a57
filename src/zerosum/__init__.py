"""Generative adversarial networks, trained and compared: see README.md."""
