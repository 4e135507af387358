"""How much more data would help: a learning curve carried on, with an interval to trust.

    from jft_reps.studies import forecast

    value, low, high = forecast.fit(sizes, errors).at([2e6, 1e7])

`model.py` is the method, `answers.py` the questions, `drawing.py` the picture, and docs/forecast.md
says how good it is. NumPy and SciPy only.
"""

from jft_reps.studies.forecast.curve import Fitted, fit

__all__ = ["Fitted", "fit"]
