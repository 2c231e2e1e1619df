"""From arrays to trained parameters: tasks, optimizers, compiled epochs, evaluation, metrics."""
