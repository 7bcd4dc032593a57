"""Hydra's sweeper `search`. Modules with an underscore are not imported when Hydra looks for plugins."""
