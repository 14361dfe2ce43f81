"""What a cross-validated path says, in sentences, tables and charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import Answer, Chart, Series, Table, known
from thalweg.linear._collinearity import Collinearity
from thalweg.linear._cross_validation import CrossValidation
from thalweg.linear._options import Columns, PathOptions
from thalweg.linear._stability import Stability

#: inputs that a chart names; those that a sentence names
_NAMED, _SAID = 10, 6
#: shares of halves from which an input counts as selected again and again, or as chosen by chance
_OFTEN, _SELDOM = 0.9, 0.5
#: from these on collinearity is a finding (Belsley, Kuh and Welsch, 1980; Marquardt, 1970)
_CONDITION, _INFLATION = 30.0, 10.0
#: a ridge penalty, on inputs of variance 1, that shows what one does
_RIDGE = 0.01
_ROLES = ("main", "second", "third")


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What is told.

    Args:
        found: Of the cross-validation.
        place: Of the chosen strength.
        stability: Of the chosen fit, or None.
        independent: Inputs without the first one of each category.
        related: The collinearity of these, or None where it was not looked at.
        columns: The inputs.
        classes: Names, for a target of classes.
        options: What was asked.
    """

    found: CrossValidation
    place: int
    stability: Stability | None
    independent: np.ndarray
    related: Collinearity | None
    columns: Columns
    classes: Sequence[str]
    options: PathOptions

    def answer(self) -> Answer:
        """Returns it all."""
        return Answer(
            headline=self._headline(),
            findings=[*self._choice(), *self._again(), *self._collinear(), self._certificate()],
            tables=[self._table()],
            charts=[self._error_chart(), self._coefficient_chart(), *self._share_chart()],
            data=self._data(),
            notes=self._notes(),
            arrays={"lambda": self.found.path.lambda_, "coef": self.found.path.coef, "errors": self.found.curve.errors},
        )

    # ---- sentences ----------------------------------------------------------------------------------------------

    def _headline(self) -> str:
        path, curve = self.found.path, self.found.curve
        num, size = int(path.num_selected[self.place]), len(self.columns.names)
        kept = "all" if num == size else f"{num} of {size:,}"
        chosen = "of least error" if self.options.choose == "min" else "largest within one standard error of the least"
        error, spread = curve.mean[self.place], curve.standard_error[self.place]
        return (
            f"lambda {path.lambda_[self.place]:.3g} ({chosen}) keeps {kept} inputs: {self._loss} {error:.4g}, standard "
            f"error {spread:.2g}, over {len(self.found.folds)} folds; without inputs it is {curve.mean[0]:.4g}."
        )

    @property
    def _loss(self) -> str:
        return "mean squared error" if self.found.path.family == "gaussian" else "mean deviance"

    def _choice(self) -> list[str]:
        path, curve, said = self.found.path, self.found.curve, []
        other = curve.one_standard_error if self.options.choose == "min" else curve.best
        what = "The largest lambda within one standard error of the least" if other <= self.place else "The least error"
        num = int(path.num_selected[other])
        if other != self.place:
            said.append(f"{what} is at {path.lambda_[other]:.3g} and keeps {num} inputs.")
        if curve.best == len(path.lambda_) - 1:
            said.append(
                "The error still falls at the smallest lambda: the data bear a weaker penalty than any that was tried."
            )
        if len(self.found.curves) > 1:
            tried = ", ".join(
                f"{each.mean[each.best]:.4g} with alpha {alpha:g}"
                for alpha, each in zip(self.found.alphas, self.found.curves, strict=True)
            )
            said.append(f"Least {self._loss}: {tried}. alpha is the share of the absolute part.")
        return said

    def _again(self) -> list[str]:
        if self.stability is None:
            return []
        share, num = self._largest(self.stability.share), self.stability.num_halves
        often = np.flatnonzero(share >= _OFTEN)
        said = [f"Selected on at least {_OFTEN:.0%} of {num} random halves of the rows: {self._names(often, share)}."]
        chance = np.flatnonzero((share < _SELDOM) & self._selected)
        if len(chance):
            said.append(
                f"Selected here, but on less than {_SELDOM:.0%} of the halves: {self._names(chance, share)}. "
                "Other rows would have chosen other inputs in their place."
            )
        return said

    def _collinear(self) -> list[str]:
        if self.related is None:
            return []
        inflation, number = self.related.inflation, self.related.condition_number
        high = np.flatnonzero(inflation >= _INFLATION)
        if number < _CONDITION and len(high) == 0:
            return []
        ridge = self.related.with_ridge(_RIDGE).condition_number
        spread = np.full(len(self.columns.names), np.nan)
        spread[self.independent] = inflation
        named = self._names(self.independent[high], spread)
        return [
            "Some inputs are nearly combinations of others: the condition number is "
            f"{'infinite' if np.isinf(number) else f'{number:,.0f}'}"
            + (f", and variance inflation is at least {_INFLATION:.0f} for {named}. " if len(high) else ". ")
            + "Among such inputs a lasso picks almost by chance; ridge shares their effect out "
            f"(with a ridge penalty of {_RIDGE:g} the number is {ridge:,.0f})."
        ]

    def _certificate(self) -> str:
        path = self.found.path
        reached = max(float(path.gap.max()), float(self.found.curve.gap.max()))
        return (
            f"Every solution is certified: no coefficients lower its objective by more than {reached:.1g} of what it "
            "is without inputs (duality gap)."
        )

    def _notes(self) -> list[str]:
        notes = [
            "Inputs were chosen and their coefficients estimated on the same rows. p-values and intervals of least "
            "squares on the chosen inputs, as if they had been chosen before, would be too good."
        ]
        if self.found.path.penalty.alpha > 0:
            notes.append(
                "The penalty shrinks coefficients towards 0: they are smaller than the effects they stand for."
            )
        if self.stability is not None:
            notes.append(
                "Ranges of coefficients are the middle 90% over the halves. They show how far the same procedure moves "
                "on other rows; they are no confidence intervals of the effects."
            )
        return notes

    # ---- tables and charts --------------------------------------------------------------------------------------

    @property
    def _coef(self) -> np.ndarray:
        """(C, p) of the chosen solution; C is 1 but for multinomial."""
        return np.atleast_2d(self.found.path.coef[self.place])

    @property
    def _selected(self) -> np.ndarray:
        return (self._coef != 0).any(0)

    def _largest(self, values: np.ndarray) -> np.ndarray:
        """Returns (p,) the largest of the classes."""
        return np.atleast_2d(values).max(0)

    def _names(self, which: np.ndarray, values: np.ndarray) -> str:
        if len(which) == 0:
            return "none"
        ordered = sorted(which, key=lambda k: -values[k])
        more = "" if len(ordered) <= _SAID else f" and {len(ordered) - _SAID} more"
        return ", ".join(self.columns.names[k] for k in ordered[:_SAID]) + more

    def _order(self) -> list[tuple[int, int]]:
        """Returns (class, input) of what is not 0, the largest first."""
        coef = self._coef
        places = [(int(c), int(j)) for c, j in np.argwhere(coef != 0)]
        return sorted(places, key=lambda place: -abs(coef[place]))

    def _table(self) -> Table:
        coef, several = self._coef, len(self._coef) > 1
        head = ["input", *(["class"] if several else []), "per deviation", "per unit"]
        head += ["range over halves", "share of halves"] if self.stability is not None else []
        rows = []
        for c, j in self._order():
            unit = self.columns.deviations[j]
            row = [self.columns.names[j], *([str(self.classes[c])] if several else [])]
            row += [f"{coef[c, j]:.4g}", "" if np.isnan(unit) else f"{coef[c, j] / unit:.4g}"]
            if self.stability is not None:
                low, high, share = (np.atleast_2d(v)[c, j] for v in self._ranges())
                row += [f"{low:.3g} to {high:.3g}", f"{share:.0%}"]
            rows.append(row)
        return Table(title="The inputs that are kept, by the size of their coefficients", head=head, rows=rows)

    def _ranges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        assert self.stability is not None
        return self.stability.low, self.stability.high, self.stability.share

    def _error_chart(self) -> Chart:
        series: list[Series] = []
        for alpha, curve in zip(self.found.alphas, self.found.curves, strict=True):
            main = curve is self.found.curve
            name = f"alpha {alpha:g}" if len(self.found.curves) > 1 else "mean over folds"
            strengths, lines = known(curve.path.lambda_), [(name, curve.mean, "main" if main else "second")]
            if main:
                spread = curve.standard_error
                lines += [("band", curve.mean - spread, "quiet"), ("band", curve.mean + spread, "quiet")]
            series += [
                Series(name=name, x=strengths, y=known(values), style="line", role=role)  # pyright: ignore[reportArgumentType]
                for name, values, role in lines
            ]
        return Chart(
            name="errors",
            title="Error on rows that are held out",
            caption="Grey: one standard error over folds below and above. The penalty grows to the right.",
            x="lambda",
            y=self._loss,
            series=[*series, self._mark(self.found.curve.mean)],
            log_x=True,
        )

    def _coefficient_chart(self) -> Chart:
        path = self.found.path
        order, strengths = self._order(), known(path.lambda_)
        coefs = path.coef if path.coef.ndim == 3 else path.coef[:, None]
        series = []
        for k, (c, j) in enumerate(order[:_NAMED]):
            label = self.columns.names[j] + (f" ({self.classes[c]})" if coefs.shape[1] > 1 else "")
            values = known(coefs[:, c, j])
            role = _ROLES[k] if k < len(_ROLES) else "quiet"
            series.append(Series(name=label, x=strengths, y=values, style="line", role=role))  # pyright: ignore[reportArgumentType]
        shown = np.array([coefs[:, c, j] for c, j in order[:_NAMED]]) if order else np.zeros(1)
        return Chart(
            name="coefficients",
            title="Coefficients along the path",
            caption=f"The {min(_NAMED, len(order))} largest of the chosen solution, for inputs of variance 1.",
            x="lambda",
            y="coefficient",
            series=[*series, self._mark(shown)],
            log_x=True,
        )

    def _mark(self, values: np.ndarray) -> Series:
        at = float(self.found.path.lambda_[self.place])
        return Series(name="chosen", x=[at, at], y=[float(values.min()), float(values.max())], style="line", role="bad")

    def _share_chart(self) -> list[Chart]:
        if self.stability is None:
            return []
        share = self._largest(self.stability.share)
        order = np.argsort(-share, kind="stable")[: 2 * _NAMED]
        names = [self.columns.names[k] for k in order]
        return [
            Chart(
                name="shares",
                title="Selected again on other rows",
                caption=f"Of {self.stability.num_halves} random halves of the rows, the share that selects an input.",
                x="input",
                y="share of halves",
                series=[Series(name="share", x=names, y=known(share[order]), style="points")],
            )
        ]

    def _data(self) -> dict[str, Any]:
        path, curve, coef = self.found.path, self.found.curve, self._coef
        data: dict[str, Any] = {
            "family": path.family,
            "alpha": path.penalty.alpha,
            "lambda": float(path.lambda_[self.place]),
            "lambda_min": self.found.lambda_min,
            "lambda_1se": self.found.lambda_1se,
            "intercept": np.atleast_1d(path.intercept[self.place]).tolist(),
            "coefficients": [
                {
                    "input": self.columns.names[j],
                    **({"class": str(self.classes[c])} if len(coef) > 1 else {}),
                    "value": float(coef[c, j]),
                }
                for c, j in self._order()
            ],
            "curves": [
                {
                    "alpha": float(alpha),
                    "lambda": each.path.lambda_.tolist(),
                    "error": each.mean.tolist(),
                    "standard_error": each.standard_error.tolist(),
                    "selected": each.path.num_selected.tolist(),
                }
                for alpha, each in zip(self.found.alphas, self.found.curves, strict=True)
            ],
            "gap": max(float(path.gap.max()), float(curve.gap.max())),
            "kkt": float(path.kkt.max()),
        }
        if self.stability is not None:
            data["halves"] = {
                "num": self.stability.num_halves,
                "share": dict(zip(self.columns.names, self._largest(self.stability.share).tolist(), strict=True)),
            }
        if self.related is not None:
            names = [self.columns.names[k] for k in self.independent]
            inflation = dict(zip(names, self.related.inflation.tolist(), strict=True))
            data["collinearity"] = {
                "condition_number": self.related.condition_number,
                "variance_inflation": inflation,
            }
        return data
