"""The lectures' backward pass, written out: `jaxnet.nn.backprop`."""

from jaxnet.nn.backprop import (
    backward as backward,
)
from jaxnet.nn.backprop import (
    gradients as gradients,
)
from jaxnet.nn.backprop import (
    input_gradient as input_gradient,
)
