"""The mathematics of jaxnet: pure functions of arrays, none of which meets a config or a file."""

from jaxnet.nn import activations, backprop, linear_heads, losses, mlp

__all__ = ["activations", "backprop", "gradcheck", "linear_heads", "losses", "mlp"]
