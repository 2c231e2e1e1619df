"""Losses, each with the closed-form gradient of its pair of loss and output activation.

`loss(logits, targets, **options)` gives one number an example; `mean` and `sum` reduce them.
`LOSSES` maps names to losses; `make` and `register` add your own.
"""

from jaxnet.nn.losses.categorical import categorical_cross_entropy
from jaxnet.nn.losses.core import LOSSES, Loss, make, register
from jaxnet.nn.losses.focal import asymmetric, focal
from jaxnet.nn.losses.layout import BINARY, ELEMENTWISE, MULTICLASS, MULTILABEL, OUTPUTS, Layout
from jaxnet.nn.losses.reductions import mean, sum, totals
from jaxnet.nn.losses.sigmoid import binary_cross_entropy, multilabel_cross_entropy
from jaxnet.nn.losses.squared_error import squared_error

__all__ = [
    "BINARY",
    "ELEMENTWISE",
    "LOSSES",
    "MULTICLASS",
    "MULTILABEL",
    "OUTPUTS",
    "Layout",
    "Loss",
    "asymmetric",
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "focal",
    "make",
    "mean",
    "multilabel_cross_entropy",
    "register",
    "squared_error",
    "sum",
    "totals",
]
