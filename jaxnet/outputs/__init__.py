"""What a run leaves behind: its directory, records by epoch, the model file, progress on the way.

Sees plain records and arrays only; knows no config and no jax.
"""
