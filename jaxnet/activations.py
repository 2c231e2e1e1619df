"""Activations and their derivatives: `jaxnet.nn.activations`."""

from jaxnet.nn.activations import (
    ACTIVATIONS as ACTIVATIONS,
)
from jaxnet.nn.activations import (
    Activation as Activation,
)
from jaxnet.nn.activations import (
    Softmax as Softmax,
)
from jaxnet.nn.activations import (
    elu as elu,
)
from jaxnet.nn.activations import (
    elu_derivative as elu_derivative,
)
from jaxnet.nn.activations import (
    find as find,
)
from jaxnet.nn.activations import (
    gelu as gelu,
)
from jaxnet.nn.activations import (
    gelu_derivative as gelu_derivative,
)
from jaxnet.nn.activations import (
    identity as identity,
)
from jaxnet.nn.activations import (
    leaky_relu as leaky_relu,
)
from jaxnet.nn.activations import (
    leaky_relu_derivative as leaky_relu_derivative,
)
from jaxnet.nn.activations import (
    relu as relu,
)
from jaxnet.nn.activations import (
    relu_derivative as relu_derivative,
)
from jaxnet.nn.activations import (
    selu as selu,
)
from jaxnet.nn.activations import (
    selu_derivative as selu_derivative,
)
from jaxnet.nn.activations import (
    sigmoid as sigmoid,
)
from jaxnet.nn.activations import (
    sigmoid_derivative as sigmoid_derivative,
)
from jaxnet.nn.activations import (
    silu as silu,
)
from jaxnet.nn.activations import (
    silu_derivative as silu_derivative,
)
from jaxnet.nn.activations import (
    softmax as softmax,
)
from jaxnet.nn.activations import (
    softmax_jacobian_product as softmax_jacobian_product,
)
from jaxnet.nn.activations import (
    softmax_parts as softmax_parts,
)
from jaxnet.nn.activations import (
    softplus as softplus,
)
from jaxnet.nn.activations import (
    tanh as tanh,
)
from jaxnet.nn.activations import (
    tanh_derivative as tanh_derivative,
)
