"""Where gradients are measured: logits up to |z| = 80, targets of four kinds, uneven cotangents.

Everything is drawn with NumPy from fixed seeds: the check gives the same numbers every time.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.errors import JaxnetError, UserError
from jaxnet.nn.losses import Loss

KINDS = ("hard", "soft", "smoothed", "weighted")
SMOOTHING = 0.1
COLUMNS = 3
CLASSES = 7
FEW = 60


class Pair(NamedTuple):
    """A loss and the output activation it stands behind."""

    loss: Loss
    activation: str
    words: tuple[tuple[str, str], ...] = ()  # options that are text


class Batch(NamedTuple):
    """Arguments of a loss and the cotangents (or sample weights) of its rows.

    Attributes:
        z: logits, (m,) or (m, K).
        y: targets, as the layout of the loss takes them.
        g: (m,) float32; "weighted": sample weights for `mean`, otherwise cotangents.
        options: of the loss, arrays and numbers only.
    """

    z: Any
    y: Any
    g: Any
    options: dict[str, Any]


def shape_of(pair: Pair) -> str:
    """How the loss wants its points: "classes", "columns" or "single".

    "classes" are rows whose outputs hang together (softmax), "columns" are K independent outputs.

    Raises:
        UserError: the layout of the loss takes none of the usual shapes.
    """
    if pair.activation == "softmax":
        return "classes"
    rows, labels = np.zeros((4, CLASSES), np.float32), np.zeros(4, np.int32)
    if _accepts(pair, rows, labels) and not _accepts(pair, rows[:, 0], labels):
        return "classes"
    if _accepts(pair, rows[:, :COLUMNS], rows[:, :COLUMNS]):
        return "columns"
    if _accepts(pair, rows[:, 0], rows[:, 0]):
        return "single"
    raise UserError(
        f"gradcheck cannot make examples for {pair.loss.name}: its layout takes "
        f"{pair.loss.layout.accepts}, none of (m,), (m, {COLUMNS}) or (m, {CLASSES}) with labels"
    )


def _accepts(pair: Pair, z: np.ndarray, y: np.ndarray) -> bool:
    try:
        pair.loss.layout.check(pair.loss.name, jnp.asarray(z), jnp.asarray(y))
    except (JaxnetError, TypeError, ValueError):
        return False
    return True


class Range(NamedTuple):
    """How many points, and how far out.

    Attributes:
        rows: length of the dense grid; number of random rows where outputs hang together.
        reach: largest |z|, and largest gap between two logits of a row of classes.
    """

    rows: int = 769
    reach: float = 80.0


class Points(NamedTuple):
    """All batches of a pair.

    Attributes:
        kinds: a batch for each kind of targets.
        one_label: soft targets, one label an example where labels are independent: the gradient
            in the targets is measured here, since the loss is then of the size of its terms.
        few_rows: of the weighted batch, for the gradient in sample weights; None in narrow types,
            whose losses are float32 all the same.
    """

    kinds: dict[str, Batch]
    one_label: Batch
    few_rows: Batch | None


def points(pair: Pair, dtype: Any, extent: Range, options: Mapping[str, Any]) -> Points:
    """The points to measure at, logits and soft targets rounded to `dtype`.

    options: of the loss, numbers and arrays, for all batches alike.
    """
    rows, reach = extent
    shape = shape_of(pair)
    rng = np.random.default_rng(20)
    z = _class_rows(rng, rows, reach) if shape == "classes" else _columns(rows, reach)
    z = z[:, 0] if shape == "single" else z
    hard, soft = _targets(pair, shape, rng, z)
    cotangents = rng.uniform(0.5, 2, len(z)) * rng.choice([-1, 1], len(z))
    weights = rng.uniform(0.25, 4, len(z)) * (rng.random(len(z)) > 0.1)
    g, w = (np.asarray(_round(array, dtype), np.float32) for array in (cotangents, weights))
    z, soft = _round(z, dtype), _round(soft, dtype)
    given = dict(options)
    smooth, smoothing = _smoothed(pair, shape, hard, dtype)
    kinds = {
        "hard": Batch(z, hard, g, given),
        "soft": Batch(z, soft, g, given),
        "smoothed": Batch(z, smooth, g, {**smoothing, **given}),
        "weighted": Batch(z, hard, w, {**_class_weights(pair, z, rng), **given}),
    }
    one = kinds["soft"]
    if shape == "columns":
        one = one._replace(z=z[:, :1], y=soft[:, :1])
    few = None
    if dtype == np.float32:
        some = slice(0, len(z), max(1, len(z) // FEW))
        few = kinds["weighted"]._replace(z=z[some], y=hard[some], g=w[some])
    return Points(kinds, one, few)


def _round(array: np.ndarray, dtype: Any) -> np.ndarray:
    return np.asarray(array, np.float32).astype(dtype)


def _columns(rows: int, reach: float) -> np.ndarray:
    """A dense grid and its mirror image, (rows, 3): (z, -z, z).

    The targets are mirrored too (`_targets`), so that the K losses of a row are of one size and
    finite differences of their sum resolve each of them, the smallest included.
    """
    grid = np.linspace(-reach, reach, rows)
    # An even grid has few points where everything happens: as many again around 0.
    grid = np.concatenate([grid, grid * (8 / max(reach, 8))])
    return grid[:, None] * np.array([1.0, -1.0, 1.0])


def _class_rows(rng: np.random.Generator, rows: int, reach: float) -> np.ndarray:
    """Random rows of every scale: gaps up to `reach`, |z| up to `reach`, ties among them."""
    scale = np.exp(rng.uniform(np.log(0.1), np.log(reach / 3), (rows, 1)))
    z = np.clip(rng.standard_normal((rows, CLASSES)) * scale, -reach / 2, reach / 2)
    led = np.clip(rng.standard_normal((rows, CLASSES)), -2, 2)
    gaps = np.linspace(0, reach - 4, rows)
    leader = rng.integers(0, CLASSES, rows)
    led -= led.max(axis=1, keepdims=True) * (gaps[:, None] > 0)
    led[np.arange(rows), leader] = gaps
    led -= gaps[:, None] / 2
    z = np.concatenate([z, led])
    room = reach - np.abs(z).max(axis=1, keepdims=True)
    return z + rng.uniform(-1, 1, room.shape) * room


def _targets(
    pair: Pair, shape: str, rng: np.random.Generator, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(hard, soft) targets: labels, and numbers that include exact 0 and 1."""
    m = len(z)
    if shape == "classes":
        likely = rng.random(m) < 0.5  # confident and right: where a - y loses its digits
        hard = np.where(likely, z.argmax(axis=1), rng.integers(0, CLASSES, m)).astype(np.int32)
        soft = rng.dirichlet(np.full(CLASSES, 0.3), m)
        soft[rng.random(soft.shape) < 0.1] = 0
        soft[::4] *= rng.uniform(0.5, 1.5, (len(soft[::4]), 1))  # a - y needs sums of 1; ours not
        soft[1::4] = np.eye(CLASSES)[hard[1::4]]
        return hard, soft
    sign = rng.integers(0, 2, m)
    mirror = np.array([0, 1, 0])
    hard = sign[:, None] ^ mirror
    soft = np.clip(rng.uniform(-0.1, 1.1, (m, COLUMNS)), 0, 1)
    if pair.activation == "tanh":  # targets in the range of the activation
        hard, soft = 2 * hard - 1, 2 * soft - 1
    hard = hard.astype(np.int32)
    return (hard[:, 0], soft[:, 0]) if shape == "single" else (hard, soft)


def _smoothed(
    pair: Pair, shape: str, hard: np.ndarray, dtype: Any
) -> tuple[np.ndarray, dict[str, Any]]:
    """Hard targets and the option `label_smoothing`; without the option, smoothed by hand."""
    if "label_smoothing" in pair.loss.options:
        return hard, {"label_smoothing": np.float32(SMOOTHING)}
    rows = np.eye(CLASSES)[hard] if shape == "classes" else hard
    spread = SMOOTHING / (CLASSES if shape == "classes" else 2)
    return _round((1 - SMOOTHING) * rows + spread, dtype), {}


def _class_weights(pair: Pair, z: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """`class_weight` and `pos_weight`, where the loss has them."""
    columns = 1 if z.ndim == 1 else z.shape[1]
    drawn = {
        "class_weight": rng.uniform(0.5, 2, max(columns, 2)).astype(np.float32),
        "pos_weight": rng.uniform(0.5, 3, columns if columns > 1 else ()).astype(np.float32),
    }
    return {name: value for name, value in drawn.items() if name in pair.loss.options}


def chosen(pair: Pair) -> dict[str, Any]:
    """The options that are text: the pair's, and the activation where it is a choice."""
    choice = {} if isinstance(pair.loss.activation, str) else {"activation": pair.activation}
    return {**dict(pair.words), **choice}


def arguments(pair: Pair, batch: Batch) -> dict[str, Any]:
    """All options of a call of the loss."""
    return {**batch.options, **chosen(pair)}


def uniform(pair: Pair, batch: Batch) -> Batch:
    """The same batch in the shape that most kinds share, so that one program serves them.

    Labels become numbers (rows of 0 and 1), smoothing by 0 is spelt out.
    """
    y = np.asarray(batch.y)
    if y.ndim < np.ndim(batch.z) and _accepts(pair, batch.z, np.zeros_like(batch.z)):
        y = np.eye(batch.z.shape[1])[y]
    y = y.astype(batch.z.dtype) if y.shape == np.shape(batch.z) else y
    none = {"label_smoothing": np.float32(0)} if "label_smoothing" in pair.loss.options else {}
    return batch._replace(y=y, options={**none, **batch.options})


def widen(tree: Any) -> Any:
    """The same numbers in float64, exactly; integers stay. To be called under `enable_x64`."""

    def leaf(x: Any) -> jax.Array:
        x = np.asarray(x)
        return jnp.asarray(x if x.dtype.kind in "iub" else x.astype(np.float64))

    return jax.tree.map(leaf, tree)
