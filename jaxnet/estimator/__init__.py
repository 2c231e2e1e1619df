"""The scikit-learn face: a config as parameters, arrays and data frames in, no run directory.

JaxnetClassifier(...).fit(X, y).predict_proba(X)
"""

from jaxnet.estimator.classifier import JaxnetClassifier as JaxnetClassifier
