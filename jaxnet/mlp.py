"""The feedforward network: `jaxnet.nn.mlp`."""

from jaxnet.nn.mlp import (
    Cache as Cache,
)
from jaxnet.nn.mlp import (
    Layer as Layer,
)
from jaxnet.nn.mlp import (
    Params as Params,
)
from jaxnet.nn.mlp import (
    dropout_masks as dropout_masks,
)
from jaxnet.nn.mlp import (
    forward as forward,
)
from jaxnet.nn.mlp import (
    forward_with_cache as forward_with_cache,
)
from jaxnet.nn.mlp import (
    init as init,
)
