"""Hydra's launcher `process`. Modules with an underscore are not imported when Hydra looks for plugins."""
