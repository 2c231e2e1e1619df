"""Linear heads: the last layer and its loss in one, so that the logits (m, K) are never held.

`categorical` (softmax) and `multilabel` (sigmoids) have the numbers of their dense losses. Use
`head(...)` for one loss a row, `head.sum(...)` where only a weighted sum is needed (multilabel: one
sweep over W instead of two), `head.forward_mode(...)` for jvp and second derivatives,
`head.update(...)` to change W while its gradient is computed. `top_k` and `ranks` predict.
"""

from jaxnet.nn.linear_heads.categorical import categorical
from jaxnet.nn.linear_heads.head import Head
from jaxnet.nn.linear_heads.multilabel import multilabel
from jaxnet.nn.linear_heads.ranking import Best, ranks, top_k
from jaxnet.nn.linear_heads.targets import Positives, Sets, chosen, indicators
from jaxnet.nn.linear_heads.updating import Updated

__all__ = [
    "Best",
    "Head",
    "Positives",
    "Sets",
    "Updated",
    "categorical",
    "chosen",
    "indicators",
    "multilabel",
    "ranks",
    "top_k",
]
