"""scikit-learn: a grid of `MLPClassifier` step sizes in two processes."""

from __future__ import annotations

import os
import warnings

import numpy as np
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neural_network import MLPClassifier

from contenders.work import BETA1, BETA2, EPS, WEIGHT_DECAY, Contender, MlpData, MlpWork


class Sklearn(Contender):
    """`GridSearchCV(n_jobs=2)` over learning_rate_init; Adam with an L2 penalty, as there is no AdamW; one epoch."""

    name = "scikit-learn grid search"

    def __init__(self, work: MlpWork, data: MlpData) -> None:
        super().__init__(work, data)
        rates = data.lr[np.linspace(0, work.P - 1, work.sample).astype(int)]
        os.environ["PYTHONWARNINGS"] = "ignore"  # "not converged" in the workers
        model = MLPClassifier((work.h,), alpha=WEIGHT_DECAY, beta_1=BETA1, beta_2=BETA2, epsilon=EPS, max_iter=1)
        model.set_params(batch_size=work.B)
        # the last row is the held-out part: scoring costs next to nothing
        fold = np.full(len(data.x), -1)
        fold[-1] = 0
        self._search = GridSearchCV(
            model,
            {"learning_rate_init": rates.tolist()},
            cv=PredefinedSplit(fold),
            n_jobs=2,
            refit=False,
            error_score="raise",  # pyright: ignore[reportArgumentType]
        )
        steps = -(-(len(data.x) - 1) // work.B)
        self.share = work.sample * steps / (work.P * work.steps)

    def reset(self) -> None:
        """Nothing to go back to: every fit starts anew."""

    def run(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._search.fit(self.data.x, self.data.y)

    def first_layer(self) -> np.ndarray:
        raise NotImplementedError("its start and order are its own")
