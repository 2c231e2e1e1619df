"""Losses, each with its closed-form gradient: `jaxnet.nn.losses`."""

from jaxnet.nn.losses import *  # noqa: F403
from jaxnet.nn.losses import __all__ as __all__
