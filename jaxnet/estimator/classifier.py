"""JaxnetClassifier: a feedforward classifier with scikit-learn's methods."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted

from jaxnet.data import new_rows
from jaxnet.errors import DataError, DataWarning, UserError
from jaxnet.estimator import labels, rows, training
from jaxnet.estimator.labels import Array
from jaxnet.estimator.parameters import config_of, default


class JaxnetClassifier(ClassifierMixin, BaseEstimator):
    """A feedforward network for two classes, several classes or several labels.

    The labels say which: two values, more values, or a matrix of 0 and 1 with one column a label.
    Columns are numbers, or in a data frame (pandas, polars, Arrow) text, categories, booleans and
    dates as well; missing cells are welcome. Scaling, categories and missing cells are taken care
    of, fitted on the training rows.

    A part of the rows is held out: training stops when its log loss no longer falls, a temperature
    makes the probabilities fit it, and thresholds that are to be tuned are tuned on it. A class of
    one row is not split; where no row can be spared, every epoch runs, the temperature is 1 and
    thresholds are 0.5.

    Every parameter is a key of jaxnet's config and has its default; the key is in brackets.

    Parameters
    ----------
    hidden : sequence of int or int
        Units of each hidden layer; () is a linear model. [model.hidden]
    activation : str
        Of the hidden layers: relu, gelu, silu, tanh, ... [model.activation]
    dropout : float
        Chance that a hidden unit is dropped in training. [model.dropout]
    embedding_size : int
        Numbers that stand for a category where a column has an embedding. [model.embedding_size]
    numeric_embedding : str
        Waves of each number beside it: periodic, none, or auto. [model.numeric_embedding]
    numeric_embedding_size : int
        Numbers that the waves of a column are mixed to. [model.numeric_embedding_size]
    loss : str
        cross_entropy, squared_error, focal or asymmetric. [loss.name]
    label_smoothing : float
        Share of each target moved to the other classes. [loss.label_smoothing]
    class_weight : "balanced", dict or None
        Weight of each class: {class: weight}. [loss.class_weight]
    pos_weight : "balanced", float, dict or None
        Weight of the positive class, or of each label: {column of y: weight}. [loss.pos_weight]
    optimizer : str
        sgd, momentum, adam, adamw, lion, rmsprop or adagrad. [optimizer.name]
    learning_rate : float
        At the top of its schedule. [optimizer.learning_rate]
    weight_decay : float
        Of the weights. [optimizer.weight_decay]
    schedule : str
        constant, cosine, warmup_cosine or exponential. [optimizer.schedule.name]
    clip_norm : float or None
        Largest norm of the gradient. [optimizer.clip_norm]
    ema : float or None
        Decay of an average of the parameters, used to predict. [optimizer.ema]
    epochs : int
        Passes over the training rows. [training.epochs]
    batch_size : int or None
        Rows of one update; None: an eighth of the training rows, from 16 to 128, and 256 from
        200,000 rows on. [training.batch_size]
    precision : str
        float32 or bfloat16. [training.precision]
    early_stopping : bool
        Stop on `stopping_metric` and keep the best epoch. [training.early_stopping]
    patience : int
        Epochs without improvement before it stops. [training.early_stopping.patience]
    stopping_metric : str
        log_loss, loss or accuracy; labels: micro_f1 and others too.
        [training.early_stopping.metric]
    validation_fraction : float
        Share of the rows that are held out; 0 holds out none, and needs early_stopping=False.
        [data.split.validation]
    columns : dict or None
        Kinds of columns where the guess is wrong: {"zip": "categorical"}. [data.columns]
    missing : sequence of str or None
        Texts that mean a missing cell. [data.missing]
    scale : str
        Of numeric columns: robust, standard, quantile or none. [data.scale]
    one_hot_limit : int
        Categorical columns of more categories get an embedding. [data.one_hot_limit]
    calibration : str
        temperature or none. [decision.calibration]
    threshold : float, str or None
        Of the positive class, or of labels: a number, or what to tune it for: accuracy, f1,
        balanced_accuracy, cost. None: 0.5 for two classes; f1 for labels, from 50 rows held out
        on, else 0.5. [decision.threshold]
    overrides : dict or None
        Any other key of the sections model, loss, optimizer, training and decision:
        {"optimizer.b1": 0.95}.
    random_state : int, RandomState or None
        Seed of the split, the weights and the order of rows. [training.seed]
    verbose : bool
        Show progress on standard error.

    Attributes
    ----------
    classes_ : ndarray
        Classes in the order of the columns of `predict_proba`; labels: 0 to K - 1.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of str
        Their names, where X was a data frame whose columns are all named by text.
    n_outputs_ : int
        Outputs of the network: 1 for two classes, else one a class or label.
    n_iter_ : int
        Epochs that ran.
    best_epoch_ : int
        The epoch, from 1, whose parameters were kept.
    history_ : list of dict
        One record an epoch: epoch, step, train_loss, validation_log_loss, ...
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_indices_ : ndarray of int
        Row numbers of X that were held out.
    temperature_ : float
        What logits are divided by.
    thresholds_ : ndarray or None
        Probabilities from which on the positive class or each label is predicted; None for several
        classes, of which the most likely one is.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> classifier = JaxnetClassifier(hidden=(32,), random_state=0).fit(X[:400], y[:400])
    >>> bool(classifier.score(X[400:], y[400:]) > 0.9)
    True
    """

    def __init__(
        self,
        hidden: Sequence[int] | int = default("hidden"),
        *,
        activation: str = default("activation"),
        dropout: float = default("dropout"),
        embedding_size: int = default("embedding_size"),
        numeric_embedding: str = default("numeric_embedding"),
        numeric_embedding_size: int = default("numeric_embedding_size"),
        loss: str = default("loss"),
        label_smoothing: float = default("label_smoothing"),
        class_weight: str | Mapping[Any, float] | None = default("class_weight"),
        pos_weight: str | float | Mapping[Any, float] | None = default("pos_weight"),
        optimizer: str = default("optimizer"),
        learning_rate: float = default("learning_rate"),
        weight_decay: float = default("weight_decay"),
        schedule: str = default("schedule"),
        clip_norm: float | None = default("clip_norm"),
        ema: float | None = default("ema"),
        epochs: int = default("epochs"),
        batch_size: int | None = default("batch_size"),
        precision: str = default("precision"),
        early_stopping: bool = True,
        patience: int = default("patience"),
        stopping_metric: str = default("stopping_metric"),
        validation_fraction: float = default("validation_fraction"),
        columns: Mapping[str, str] | None = default("columns"),
        missing: Sequence[str] | None = default("missing"),
        scale: str = default("scale"),
        one_hot_limit: int = default("one_hot_limit"),
        calibration: str = default("calibration"),
        threshold: float | str | None = default("threshold"),
        overrides: Mapping[str, Any] | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.embedding_size = embedding_size
        self.numeric_embedding = numeric_embedding
        self.numeric_embedding_size = numeric_embedding_size
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.pos_weight = pos_weight
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.ema = ema
        self.epochs = epochs
        self.batch_size = batch_size
        self.precision = precision
        self.early_stopping = early_stopping
        self.patience = patience
        self.stopping_metric = stopping_metric
        self.validation_fraction = validation_fraction
        self.columns = columns
        self.missing = missing
        self.scale = scale
        self.one_hot_limit = one_hot_limit
        self.calibration = calibration
        self.threshold = threshold
        self.overrides = overrides
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> JaxnetClassifier:
        """Train the network.

        Parameters
        ----------
        X : array or data frame (n, d)
            An array holds numbers, NaN where they are missing; a data frame any columns.
        y : array (n,) or (n, labels) of 0 and 1
            Classes, or labels.
        sample_weight : array (n,) or None
            What each row counts in the loss, in early stopping and in the temperature; thresholds
            are tuned on rows alike. A row of weight 0 moves no parameter of the network and is not
            held out; columns are scaled, and categories known, by all rows.

        Raises
        ------
        ValueError
            A mistake in the parameters, the rows or the labels, and what to do about it.
        """
        x = rows.checked(self, X, reset=True)
        target = labels.read(y)
        check_consistent_length(x, target.codes)
        weights = self._weights(sample_weight, x)
        labels.refuse_one_class(target, weights)
        seed = _seed(self.random_state)
        config = config_of(
            self.get_params(deep=False), target.task, seed=seed, class_names=_names(target)
        )
        fraction = config.data.split.validation if self._fraction() else 0.0
        held = rows.held_out(target, fraction, seed, weights)
        found = training.train(
            config, x, target, held=held, weights=weights, seed=seed, show=bool(self.verbose)
        )
        self._trained, self._dtype = found, target.dtype
        self.classes_ = target.classes
        self.n_outputs_ = len(found.arrays[f"layers.{len(config.model.hidden)}.b"])
        self.history_ = found.records
        self.n_iter_ = len(found.records)
        self.best_epoch_ = found.epoch
        self.loss_curve_ = [record["train_loss"] for record in found.records]
        self.validation_indices_ = held
        self.temperature_ = found.temperature
        self.thresholds_ = found.thresholds
        return self

    def predict_proba(self, X: Any) -> Array:
        """Calibrated probabilities: (n, 2), (n, classes) or (n, labels), each label by itself."""
        p = training.probabilities(self._fitted(), self._logits(X))
        return np.hstack([1 - p, p]) if self._trained.task == "binary" else p

    def predict(self, X: Any) -> Array:
        """The class of each row, by the threshold or the most likely; labels: (n, labels)."""
        p = training.probabilities(self._fitted(), self._logits(X))
        if self._trained.thresholds is None:
            return self.classes_[p.argmax(axis=1)]
        decided = p >= self._trained.thresholds
        if self._trained.task == "binary":
            return self.classes_[decided[:, 0].astype(int)]
        return decided.astype(self._dtype)

    def decision_function(self, X: Any) -> Array:
        """Logits over the temperature, less the logit of the threshold: (n,), (n, K).

        Two classes, labels: `predict` says the second class, or yes, from 0 on. Several classes:
        the largest one is predicted.
        """
        found = training.scores(self._fitted(), self._logits(X))
        return found[:, 0] if self._trained.task == "binary" else found

    def _fitted(self) -> training.Trained:
        check_is_fitted(self)
        return self._trained

    def _logits(self, X: Any) -> Array:
        found = self._fitted()
        x = rows.checked(self, X, reset=False)
        known = new_rows.ready(found.schema)
        encoded = new_rows.encode(known, x)
        said = (*encoded.warnings, *new_rows.describe(known, encoded.unseen, len(encoded.x)))
        if said:
            warnings.warn("; ".join(said), DataWarning, stacklevel=3)
        return training.logits(found, encoded.x)

    def _weights(self, sample_weight: Any, x: Any) -> Array | None:
        if sample_weight is None:
            return None
        found = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
        if not found.any():
            raise DataError("sample_weight: all weights are zero; give one row at least a weight")
        return found.astype(np.float32)

    def _fraction(self) -> bool:
        """Whether rows are held out at all."""
        if self.validation_fraction:
            return True
        if self.early_stopping:
            raise UserError(
                "early_stopping needs validation rows: validation_fraction=0.15, or "
                "early_stopping=False"
            )
        return False

    def __sklearn_tags__(self) -> Tags:
        """Missing cells, categories in data frames and several labels are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.target_tags.multi_output = True
        tags.classifier_tags.multi_label = True
        return tags


def _seed(random_state: Any) -> int:
    """An integer as it is, so that equal ones are equal runs; else one that is drawn."""
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _names(target: labels.Target) -> dict[Any, str]:
    """Class or label -> what the data room calls it, whose classes here are codes."""
    prefix = "label_" if target.task == "multilabel" else ""
    return {label: f"{prefix}{code}" for code, label in enumerate(target.classes.tolist())}
