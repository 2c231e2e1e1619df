"""Last layer and loss in one, without logits: `jaxnet.nn.linear_heads`."""

from jaxnet.nn.linear_heads import *  # noqa: F403
from jaxnet.nn.linear_heads import __all__ as __all__
