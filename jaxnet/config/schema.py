"""The typed config: sections, defaults, ranges and a description of every key.

A model here checks one value at a time; what two keys mean together is in `checks`. Build a
`Config` with `load_config`, which does both and reports every problem with its position.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from jaxnet.config import names
from jaxnet.config.data_schema import DataConfig as DataConfig
from jaxnet.config.data_schema import SplitConfig as SplitConfig
from jaxnet.config.data_schema import is_sparse
from jaxnet.config.unions import ClassWeight, PosWeight, Threshold
from jaxnet.config.values import (
    BelowOne,
    Cost,
    Decay,
    NotNegative,
    PositiveShare,
    Rate,
    Seconds,
    Seed,
    Share,
    Size,
    Sizes,
)
from jaxnet.config.values import (
    Section as Section,
)


class ModelConfig(Section):
    """The network."""

    name: names.Model = "mlp"
    """Kind of network: mlp."""
    hidden: Sizes = (256, 256)
    """Units of each hidden layer; [] is a linear model."""
    activation: names.Activation = "relu"
    """Activation of the hidden layers."""
    dropout: BelowOne = 0.2
    """Chance that a hidden unit is dropped in training."""
    input_dropout: BelowOne = 0.0
    """Chance that a feature of a sparse row is dropped in training."""
    head: names.Head = "auto"
    """dense holds its logits; linear_blocks never does (multilabel); auto: from 4,096 labels on."""
    block: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """Labels that linear_blocks looks at in one go; null: tiles that fit the caches."""
    head_weights: names.HeadWeights = "float32"
    """Type that the weights of linear_blocks are kept in; bfloat16 is rounded stochastically."""
    init: names.Init = "he"
    """Initial weights: he, glorot, lecun or ntk."""
    last_layer: names.LastLayer = "zeros"
    """Initial weights of the last layer: zeros, or the same as the others."""
    output_bias: names.OutputBias = "prior"
    """Initial bias of the outputs: prior, the shares of the classes; or zeros."""
    embedding_size: Annotated[int, Field(ge=1, le=4096)] = 8
    """Numbers that stand for a category where a column has an embedding."""
    numeric_embedding: names.NumericEmbedding = "auto"
    """periodic: waves of each number beside it; none; auto: periodic up to 100 numeric columns."""
    numeric_embedding_size: Annotated[int, Field(ge=1, le=256)] = 3
    """Numbers that the waves of a column are mixed to."""


class LossConfig(Section):
    """The loss, and which engine computes its gradient."""

    name: Annotated[str, Field(json_schema_extra={"enum": list(names.LOSS_NAMES)})] = (
        "cross_entropy"
    )
    """cross_entropy, squared_error, focal or asymmetric."""
    gradient: names.Gradient = "closed_form"
    """Engine of the gradient: closed_form, autodiff or backprop."""
    activation: names.OutputActivation | None = None
    """Output activation of squared_error; null is the task's (sigmoid or softmax)."""
    label_smoothing: BelowOne = 0.0
    """Share of each target moved to the other classes."""
    class_weight: ClassWeight = None
    """Weight of each class: balanced, or {class: weight}; null weighs all rows alike."""
    pos_weight: PosWeight = None
    """Weight of positive labels: balanced, a number, or {label: weight}; null is 1."""
    gamma: NotNegative | None = None
    """Focusing exponent of focal; null is the loss's own."""
    gamma_pos: NotNegative | None = None
    """Focusing exponent of asymmetric for positive labels; null is the loss's own."""
    gamma_neg: NotNegative | None = None
    """Focusing exponent of asymmetric for negative labels; null is the loss's own."""
    clip: BelowOne | None = None
    """Probability shift of asymmetric; null is the loss's own."""
    labels: names.Labels = "sum"
    """Over the labels of a multilabel row: sum or mean."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        extra = (info.context or {}).get("extra_losses", ())
        if name not in names.LOSS_NAMES and name not in extra:
            choices = list(dict.fromkeys((*names.LOSS_NAMES, *extra)))
            raise PydanticCustomError("unknown_choice", "unknown loss", {"choices": choices})
        return name


# Times the largest gradient that is applied (3e18) it is far from what overflows: an update is
# finite where its gradient is.
MOST_RATE = 1e15


class ScheduleConfig(Section):
    """How the learning rate changes over the run."""

    name: names.Schedule = "cosine"
    """constant, cosine, warmup_cosine or exponential."""
    warmup: BelowOne = 0.05
    """warmup_cosine: fraction of all steps that warm up."""
    final: Share = 0.0
    """cosine and warmup_cosine: the last rate as a fraction of learning_rate."""
    decay: PositiveShare = 0.1
    """exponential: the last rate as a fraction of learning_rate."""


def default_b2(name: str) -> float:
    """The usual b2 of an optimizer: lion averages over fewer steps than adam."""
    return 0.99 if name == "lion" else 0.999


class OptimizerConfig(Section):
    """How the parameters follow the gradient."""

    name: names.Optimizer = "adamw"
    """sgd, momentum, adam, adamw, lion, rmsprop or adagrad."""
    learning_rate: Annotated[Rate, Field(le=MOST_RATE)] = 1e-3
    """Learning rate at the top of its schedule."""
    weight_decay: Annotated[NotNegative, Field(le=1e3)] = 1e-4
    """Weight decay of the weights; adamw and lion keep it apart from the gradient."""
    momentum: BelowOne = 0.9
    """momentum: share of the last update that is kept."""
    b1: BelowOne = 0.9
    """adam, adamw and lion: decay of the mean of the gradients."""
    b2: BelowOne = Field(
        default_factory=lambda data: default_b2(data["name"]), json_schema_extra={"default": 0.999}
    )
    """adam and adamw (0.999), lion (0.99): decay of the second mean."""
    eps: Rate = 1e-8
    """adam, adamw, rmsprop and adagrad: added to the divisor."""
    decay: BelowOne = 0.9
    """rmsprop: decay of the mean of the squared gradients."""
    schedule: ScheduleConfig = ScheduleConfig()
    """Change of the learning rate over the run."""
    clip_norm: Rate | None = None
    """Largest norm of the whole gradient; null does not clip."""
    ema: Decay | None = None
    """Decay of an average of the parameters, used to predict (say 0.99); null is none."""


class EarlyStoppingConfig(Section):
    """When to stop before the last epoch."""

    metric: names.Metric = "log_loss"
    """Validation metric to watch: log_loss, loss, accuracy, or one of the multilabel ones."""
    patience: Size = 16
    """Epochs without improvement before the run stops."""


class TrainingConfig(Section):
    """The run itself."""

    epochs: Size = 64
    """Passes over the training rows."""
    batch_size: Annotated[int, Field(ge=1, le=2**24)] | None = None
    """Rows of one update; null: an eighth of the rows, from 16 to 128, and 256 from 200,000 on."""
    seed: Seed = 0
    """Seed of the initial weights, the order of the rows and dropout."""
    precision: names.Precision = "float32"
    """Type of the products: float32, or bfloat16 with float32 parameters and sums."""
    early_stopping: EarlyStoppingConfig | None = EarlyStoppingConfig()
    """Stop on a validation metric; null trains every epoch."""
    on_nan: names.OnNan = "stop"
    """A step that is not finite: stop saves the last good state and fails; skip leaves it out."""
    skip_limit: Size = 10
    """Steps that on_nan: skip leaves out before the run stops after all."""


class CheckpointsConfig(Section):
    """When the state of a run is saved to go on from, and which of the files stay."""

    every_seconds: Seconds | None = 30.0
    """Seconds of training between two checkpoints, and 19 times a save; null: none by time."""
    every_steps: Size | None = None
    """Updates between two checkpoints, beside the seconds; null: none by updates."""
    keep: Annotated[int, Field(ge=2, le=1_000_000)] = 3
    """Newest checkpoints that stay."""
    keep_every_steps: Size | None = None
    """At multiples of this number of updates a checkpoint is written too, and stays."""
    keep_every_seconds: Seconds | None = None
    """The first checkpoint of each such span of training time stays too."""

    @property
    def multiples(self) -> tuple[int, ...]:
        """Numbers of updates at whose multiples a checkpoint is written."""
        given = (self.every_steps, self.keep_every_steps)
        return tuple(each for each in given if each is not None)


class CostConfig(Section):
    """What mistakes cost, for decision.threshold: cost."""

    false_positive: Cost = 1.0
    """Cost of deciding the positive class for a negative row."""
    false_negative: Cost = 1.0
    """Cost of deciding the negative class for a positive row."""


class DecisionConfig(Section):
    """From outputs to probabilities and decisions, fitted on the validation rows."""

    calibration: names.Calibration = "temperature"
    """temperature divides the logits by one number that fits best; none leaves them."""
    threshold: Threshold = None
    """A number, or what to tune it for: accuracy, f1, balanced_accuracy, cost; null: 0.5 or f1."""
    cost: CostConfig = CostConfig()
    """Costs of the two mistakes, for threshold: cost."""


class Origin(NamedTuple):
    """Where a config came from."""

    directory: Path
    name: str
    text: str


class Config(Section):
    """A whole config. Made by `load_config`; only `task` and `data` have no default."""

    task: names.Task
    """binary, multiclass or multilabel."""
    data: DataConfig
    """Where the rows come from."""
    model: ModelConfig = ModelConfig()
    """The network."""
    loss: LossConfig = LossConfig()
    """The loss and its gradient."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """The optimizer."""
    training: TrainingConfig = TrainingConfig()
    """The run itself."""
    checkpoints: CheckpointsConfig = CheckpointsConfig()
    """When the run is saved, to go on from."""
    decision: DecisionConfig = DecisionConfig()
    """Calibration and thresholds."""
    report: bool = True
    """Whether the run ends with report.html."""

    _origin: Origin = PrivateAttr(default=Origin(Path("."), "config", ""))

    @property
    def directory(self) -> Path:
        """The directory where relative paths of the config start."""
        return self._origin.directory

    @property
    def name(self) -> str:
        """The config file's name without its ending; `config` when it came from a mapping."""
        return self._origin.name

    @property
    def text(self) -> str:
        """The config as it was given, before defaults and overrides."""
        return self._origin.text

    def path(self, path: str) -> Path:
        """A path of the config as seen from the working directory."""
        return self.directory / path

    @property
    def train_path(self) -> Path | None:
        """The training file, or None with a built-in set."""
        return self._optional(self.data.train)

    @property
    def validation_path(self) -> Path | None:
        """The validation file, or None when the validation rows are split off."""
        return self._optional(self.data.validation)

    @property
    def test_path(self) -> Path | None:
        """The test file, or None when the test rows are split off."""
        return self._optional(self.data.test)

    @property
    def label_paths(self) -> dict[str, Path]:
        """The files of labels of sparse rows, by part, as far as there are any."""
        given = {
            "train": self.data.train_labels,
            "validation": self.data.validation_labels,
            "test": self.data.test_labels,
        }
        return {part: self.path(path) for part, path in given.items() if path is not None}

    @property
    def label_names_path(self) -> Path | None:
        """The names of the labels of sparse rows, or None where they are numbers."""
        return self._optional(self.data.label_names)

    @property
    def is_sparse(self) -> bool:
        """Whether the rows are sparse: XC text, or an .npz file whose labels are in another."""
        return is_sparse(self.data.train, self.data.train_labels)

    @property
    def split_path(self) -> Path | None:
        """The recorded split, or None when the rows are split anew."""
        return self._optional(self.data.split.file)

    def _optional(self, path: str | None) -> Path | None:
        return None if path is None else self.path(path)


def json_schema() -> dict[str, Any]:
    """JSON schema of a config, for editors and other tools.

    >>> json_schema()["required"]
    ['task', 'data']
    """
    schema = Config.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "jaxnet config",
    }
