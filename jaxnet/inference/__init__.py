"""Using a finished run: load it, predict new rows in memory or from a file, measure it.

load           run directory -> Model
Model          predict_proba, logits, predict and top_k of arrays, data frames and sparse matrices
predict_file   a file of rows -> a file of predictions, in bounded memory
evaluate_file  a file of labelled rows -> metrics
"""

from jaxnet.inference.evaluating import Evaluated, evaluate_file
from jaxnet.inference.loading import load
from jaxnet.inference.model import Model, Top
from jaxnet.inference.predicting import Predicted, predict_file

__all__ = ["Evaluated", "Model", "Predicted", "Top", "evaluate_file", "load", "predict_file"]
