"""Closed forms against autodiff and finite differences: `jaxnet.nn.gradcheck`."""

from jaxnet.nn.gradcheck import *  # noqa: F403
from jaxnet.nn.gradcheck import __all__ as __all__
