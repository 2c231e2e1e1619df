"""Every parameter is a key of the config, with its default, and mistakes go by its name."""

import inspect
import re

import numpy as np
import pytest

from jaxnet import JaxnetClassifier
from jaxnet.config import load_config
from jaxnet.estimator.parameters import KEYS
from tests.estimator.small import numbers, small, table


def test_every_parameter_is_a_key_of_the_config_with_its_default():
    config = load_config({"task": "binary", "data": {"source": "breast_cancer"}})
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(JaxnetClassifier).parameters.items()
    }
    assert set(defaults) - set(KEYS) == {
        "early_stopping", "overrides", "random_state", "verbose"
    }  # fmt: skip
    assert defaults["early_stopping"] is (config.training.early_stopping is not None)
    for name, key in KEYS.items():
        value = config.model_dump()
        for part in key.split("."):
            value = value[part]
        # An empty mapping would be shared by all classifiers.
        assert defaults[name] == (value or None if isinstance(value, dict) else value), name


def test_the_docstring_names_the_key_of_every_parameter():
    text = inspect.getdoc(JaxnetClassifier)
    for name, key in KEYS.items():
        assert re.search(rf"^{name} : .*\n(    .*\n)*?.*\[{key}\]", text, re.MULTILINE), name


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"learning_rate": -1}, "JaxnetClassifier: learning_rate: must be greater than 0"),
        ({"activation": "rellu"}, "did you mean 'relu'?"),
        ({"hidden": (4, 0)}, r"hidden\[1\]: must be at least 1"),
        ({"dropout": "much"}, "dropout: expected a number"),
        ({"patience": 0}, "patience: must be at least 1"),
        ({"random_state": -1}, "random_state: must be at least 0"),
        ({"threshold": 1.5}, "threshold: expected a number between 0 and 1"),
        ({"validation_fraction": 0}, "early_stopping=False"),
        ({"class_weight": {"yess": 2}}, "class_weight: y has no class or label 'yess'"),
        ({"pos_weight": {"no": 2}}, "pos_weight: y has no positive class 'no'; valid: yes"),
        ({"overrides": {"optimizer.b9": 1}}, "optimizer.b9: unknown key"),
        ({"overrides": {"optimizer.learning_rate": 1}}, "is the parameter learning_rate"),
        ({"overrides": {"data.train": "x.csv"}}, "of the sections model, loss"),
        ({"columns": {"jobb": "id"}}, "'jobb'"),
    ],
)
def test_a_mistake_is_a_value_error_by_the_parameters_name(parameters, said):
    x, y = table()
    with pytest.raises(ValueError, match=said):
        small(**parameters).fit(x, y)


def test_a_class_in_quotes_that_is_a_number_is_told_apart_from_it():
    x, y = numbers()
    with pytest.raises(ValueError, match=r"no class or label '1'; did you mean 1\?$"):
        small(class_weight={"1": 2}).fit(x, y)


def test_all_mistakes_are_said_at_once():
    with pytest.raises(ValueError, match=r"(?s)activation:.*learning_rate:"):
        small(activation="rellu", learning_rate=0).fit(*numbers())


def test_numbers_of_numpy_and_lists_are_parameters_too():
    given = {"hidden": np.array([8]), "epochs": np.int64(4), "learning_rate": np.float64(1e-3)}
    x, y = numbers()
    assert np.array_equal(
        small(**given).fit(x, y).predict_proba(x), small(hidden=8).fit(x, y).predict_proba(x)
    )


def test_other_keys_of_the_config_are_overrides():
    x, y = numbers()
    plain = small().fit(x, y).predict_proba(x)
    changed = small(overrides={"loss.activation": None, "optimizer.b1": 0.5}).fit(x, y)
    assert not np.array_equal(changed.predict_proba(x), plain)
