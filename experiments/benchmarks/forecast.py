"""Forecasts of measured learning curves beside what else one would do.

  python -m experiments.benchmarks.forecast --curves=CURVES.csv[,MORE.csv] [--learn]

Prints one JSON line. A file has the columns Task, Model, Seen Examples, Loss and Training (1:
given, 0: to be foretold), as the benchmark of Alabdulmohsin et al. (2022) publishes them.

* A, theirs: every point with Training 1 is given; root mean square of log(foretold / measured)
  over the others, its mean and median over curves.
* B, a user's: four to six sizes over one and a half decades up to a tenth of the largest; at 2, 5
  and 9.5 times the largest given mean |log error|, share inside the 95 % interval (2 % of slack for
  the measurement) and mean width of the interval's logarithm.
* laws: the same at 2, 5 and 10 times of curves drawn from laws we know, with noise of seeds.

--learn chooses the three numbers of `model.Priors` anew, without each network and without each
target in turn, and counts each curve under the priors that have not seen its network (its target):
figures out of fold. What is minimised is the interval score of Gneiting and Raftery (2007), width +
40 times what is outside, over the curves, among the priors that hold 90 to 99 % of each law at each
factor (or come closest): so the curves at hand cannot narrow the priors to their own kind, and no
width is kept that no law needs.

Baselines, written from the papers and fitted in log error by least squares from several starts: the
last value; M1, a power law; M2, with an asymptote; M3, M2 with a shifted size; M4, see
`jft_reps/studies/forecast/model.py`; a broken law with one break (Caballero et al. 2023).
"""

from __future__ import annotations

import collections
import csv
import itertools
import json
import time
from collections.abc import Callable, Iterator

import numpy as np
from absl import app, flags
from scipy.optimize import least_squares

from jft_reps.studies import forecast
from jft_reps.studies.forecast import model

_CURVES = flags.DEFINE_list("curves", [], "CSV files of measured curves.")
_LEARN = flags.DEFINE_boolean("learn", False, "Choose the priors anew, out of fold.")
_DRAWS = flags.DEFINE_integer("draws", 100, "Curves drawn from each law.", lower_bound=1)

FACTORS, LAW_FACTORS = np.array([2, 5, 9.5]), np.array([2, 5, 10.0])
BARS = np.array([0.15, 0.35, 0.55])  # issue 21's widths, to weigh the three factors alike
SLACK = 0.02
CANDIDATES = [model.Priors(*numbers) for numbers in itertools.product(
    (0.0045, 0.006, 0.008), (0.01, 0.0125, 0.015, 0.02), (0.5, 0.65))]

Curve = collections.namedtuple("Curve", "name network target sizes errors given")
# What a user would have, and what is to be foretold; one row of figures per factor.
Case = collections.namedtuple("Case", "sizes errors at measured slack")


def read(paths: list[str]) -> list[Curve]:
  """The curves of files, in order of size."""
  rows: dict[tuple[str, str], list] = collections.defaultdict(list)
  for path in paths:
    with open(path, encoding="utf-8", newline="") as file:
      for row in csv.DictReader(file):
        rows[row["Model"], row["Task"]].append(
            (float(row["Seen Examples"]), float(row["Loss"]), row["Training"] == "1"))
  found = []
  for (network, task), points in rows.items():
    sizes, errors, given = (np.array(column) for column in zip(*sorted(points)))
    # A target with 5, 10 and 25 examples a class is one target.
    found.append(Curve(f"{task} {network}", network, task.split("_")[0], sizes, errors, given))
  return found


def user_case(curve: Curve, cut: float = 0.1) -> Case | None:
  """Protocol B; None: the curve is too short."""
  x, y = curve.sizes, curve.errors
  wanted = x[-1] * cut * 10 ** np.linspace(-1.5, 0, 6)
  chosen = sorted({int(abs(np.log(x / size)).argmin()) for size in wanted if size >= x[0]})
  if len(chosen) < 4:
    return None
  at = FACTORS * x[chosen[-1]]
  weights = np.exp(-0.5 * (np.log(x / at[:, None]) / 0.04) ** 2)  # "measured" is a local mean
  total = weights.sum(1)
  if not (total > 1e-3).all():
    return None
  return Case(x[chosen], y[chosen], at, np.exp(weights @ np.log(y) / total), SLACK)


# Laws: each takes a generator and returns error as a function of u = log(size / largest).


def _last(rng: np.random.Generator) -> float:
  return float(np.exp(rng.uniform(np.log(0.08), np.log(0.6))))


def power(rng):
  last, slope = _last(rng), rng.uniform(0.05, 0.5)
  return lambda u: last * np.exp(-slope * u)


def saturating(rng):
  last, slope, share = _last(rng), rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.9)
  return lambda u: last * (share + (1 - share) * np.exp(-slope * u))


def log_linear(rng):
  last, slope = _last(rng), rng.uniform(0.02, 0.25)
  return lambda u: last * (1 - slope * u)


def broken(rng):
  last, first, second = _last(rng), rng.uniform(0.05, 0.4), rng.uniform(0.05, 0.4)
  place = rng.uniform(-2.5, 0)  # of the break: nobody foresees one beyond the largest size
  bend = lambda u: -first * u - (second - first) / 2 * np.logaddexp(0, 2 * (u - place))
  return lambda u: last * np.exp(bend(u) - bend(0))


def flat(rng):
  last = _last(rng)
  return lambda u: last + 0 * u


def worse(rng):
  last, slope = _last(rng), rng.uniform(0.01, 0.08)
  return lambda u: np.minimum(last * np.exp(slope * u), 1)


LAWS = {law.__name__: law for law in (power, saturating, log_linear, broken, flat, worse)}


def law_cases(law: Callable, number: int, seed: int = 0) -> Iterator[Case]:
  """Curves of a law: 4 to 7 sizes over 1 to 2 decades, 1 or 3 seeds, noise of 0.3 to 3 %."""
  rng = np.random.default_rng(seed)
  while number:
    error, seeds = law(rng), int(rng.choice([1, 1, 3]))
    u = np.repeat(np.linspace(-rng.uniform(1, 2) * np.log(10), 0, rng.integers(4, 8)), seeds)
    noise = np.exp(rng.uniform(np.log(0.003), np.log(0.03)))
    errors = error(u) * np.exp(noise * rng.standard_normal(len(u)))
    ahead = np.log(LAW_FACTORS)
    if error(u[0]) < 0.95 and (errors < 1).all() and (error(ahead) > 0).all():
      new = error(ahead) * np.exp(noise / np.sqrt(seeds) * rng.standard_normal(3))
      number -= 1
      yield Case(1e6 * np.exp(u), errors, 1e6 * LAW_FACTORS, np.minimum(new, 1), 0.0)


# What else one would do: sizes, errors -> sizes -> errors.


def _least_squares(function: Callable, starts: list[list[float]]) -> Callable:
  def fit(x, y):
    u, best = np.log(x / x[-1]), None
    for start in starts:
      found = least_squares(lambda p: function(p, u, y[-1]) - np.log(y), start, max_nfev=400)
      best = found if best is None or found.cost < best.cost else best
    return lambda sizes: np.exp(function(best.x, np.log(sizes / x[-1]), y[-1]))
  return fit


def _m2(p, u, last):
  return np.log(last) + np.logaddexp(p[0], p[1] - np.exp(p[2]) * u)


def _m3(p, u, last):
  return np.log(last) + np.logaddexp(p[0], p[1] - np.exp(p[2]) * np.logaddexp(u, p[3]))


def _m4(p, u, last):
  low = last / (1 + np.exp(-p[0]))
  alpha = np.exp(np.clip(p[3], -4, 3))
  w = model.unbend(p[1] - np.exp(p[2]) * u, alpha * np.ones_like(u))
  return np.log(low + (1 - low) / (1 + np.exp(-np.clip(w, -50, 50))))


def _broken(p, u, last):
  return np.log(last) + np.logaddexp(
      p[0], p[1] - p[2] * u - p[3] * np.logaddexp(0, (u - p[4]) / np.exp(p[5])) * np.exp(p[5]))


def _m1(x, y):
  line = np.polyfit(np.log(x), np.log(y), 1)
  return lambda sizes: np.exp(np.polyval(line, np.log(sizes)))


_SHARES = [(np.log(e + 1e-4), np.log(1 - e), np.log(c)) for e in (0, 0.4, 0.8) for c in (0.2, 0.6)]
BASELINES: dict[str, Callable] = {
    "last": lambda x, y: lambda sizes: np.full(len(sizes), y[-1]),
    "M1": _m1,
    "M2": _least_squares(_m2, [list(s) for s in _SHARES]),
    "M3": _least_squares(_m3, [[*s, -4.0] for s in _SHARES]),
    "M4": _least_squares(_m4, [[e, -1.0, np.log(c), np.log(a)] for e in (-3, 0, 1.5)
                               for c in (0.2, 0.6) for a in (0.1, 1.0)]),
    "broken": _least_squares(_broken, [[e, s, c, 0.1, p, 0.0] for e, s, c in _SHARES[::2]
                                       for p in (-2.0, -0.7)]),
}


def log_forecast(fitted: forecast.Fitted, case: Case) -> np.ndarray:
  """log of value, low and high, `[3, factors]`."""
  return np.log(np.maximum(np.array(fitted.at(case.at)), 1e-3))


def interval_score(logs: np.ndarray, case: Case) -> float:
  """Width + 2 / 5 % of what is outside; see Gneiting and Raftery (2007). Lower is better."""
  _, low, high = logs
  truth = np.log(case.measured)
  outside = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
  return float(((high - low + 40 * outside) / BARS).mean())


def figures(cases: list[Case], logs: list[np.ndarray]) -> dict:
  """Error, bias, share inside and width, each per factor."""
  value, low, high = np.array(logs).transpose(1, 0, 2)
  truth, slack = np.log([c.measured for c in cases]), np.array([[c.slack] for c in cases])
  inside = (low - slack <= truth) & (truth <= high + slack)
  rows = {"error": abs(value - truth), "bias": value - truth, "inside": inside, "width": high - low}
  return {name: np.round(row.mean(0), 4).tolist() for name, row in rows.items()}


def under(fitted: forecast.Fitted, priors: model.Priors) -> forecast.Fitted:
  """The same fit under other priors."""
  fitted.posterior.weights = fitted.posterior.weighted(priors)
  return fitted


def learn(curves: list[Curve], draws: int) -> tuple[np.ndarray, np.ndarray]:
  """Interval score of each candidate on each curve, `[curves, candidates]`, and `[candidates]` by
  how much the share of a law that it holds leaves 90 to 99 %.
  """
  def rows(cases):
    found = []
    for case in cases:
      fitted = forecast.fit(case.sizes, case.errors)
      logs = [log_forecast(under(fitted, p), case) for p in CANDIDATES]
      truth = np.log(case.measured)
      found.append([(interval_score(log, case), *((log[1] <= truth) & (truth <= log[2])))
                    for log in logs])
    return np.mean(found, 0) if found else np.full((len(CANDIDATES), 4), np.nan)

  # Two stretches of each curve, so that the choice does not hang on 25 cases.
  measured = np.array([rows([c for c in (user_case(curve), user_case(_cut(curve))) if c])
                       for curve in curves])[..., 0]
  laws = np.array([rows(law_cases(law, draws, seed=7)) for law in LAWS.values()])
  inside = laws[..., 1:]
  # Less or more than a standard error of so many draws is no finding.
  low, high = (share + sign * np.sqrt(share * (1 - share) / draws)
               for share, sign in ((0.9, -1), (0.99, 1)))
  off = np.maximum(low - inside.min((0, 2)), 0) + np.maximum(inside.max((0, 2)) - high, 0)
  return measured, off


def _cut(curve: Curve) -> Curve:
  """The curve up to half of its largest size."""
  kept = curve.sizes <= curve.sizes[-1] / 2
  return curve._replace(sizes=curve.sizes[kept], errors=curve.errors[kept])


def chosen(measured: np.ndarray, laws: np.ndarray, train: np.ndarray) -> model.Priors:
  """The candidate of the lowest score on the curves `train`, of those that hold the laws best."""
  return CANDIDATES[int((np.nanmean(measured[train], 0) + 100 * laws).argmin())]


def protocols(curves: list[Curve], priors: list[model.Priors | None]) -> dict:
  """A and B of our forecasts, each curve under its priors."""
  a, cases, logs, seconds = [], [], [], []
  for curve, prior in zip(curves, priors):
    given = curve.given
    if given.sum() >= 4 and not given.all():
      start = time.perf_counter()
      fitted = forecast.fit(curve.sizes[given], curve.errors[given], priors=prior)
      foretold = fitted.at(curve.sizes[~given])[0]
      seconds.append(time.perf_counter() - start)
      a.append(_rms(foretold, curve.errors[~given]))
    case = user_case(curve)
    if case:
      cases.append(case)
      logs.append(log_forecast(forecast.fit(case.sizes, case.errors, priors=prior), case))
  return {"A": _mean_median(a), "seconds_a_curve": round(float(np.median(seconds)), 4),
          "B": {"curves": len(cases), **figures(cases, logs)}}


def _rms(foretold, measured) -> float:
  return float(np.sqrt(np.mean(np.log(np.maximum(foretold, 1e-3) / measured) ** 2)))


def _mean_median(values) -> list[float]:
  return [round(float(np.mean(values)), 4), round(float(np.median(values)), 4)]


def baselines(curves: list[Curve]) -> dict:
  """A and B's error of each baseline."""
  found = {}
  for name, fit in BASELINES.items():
    a = [_rms(fit(c.sizes[c.given], c.errors[c.given])(c.sizes[~c.given]), c.errors[~c.given])
         for c in curves if c.given.sum() >= 4 and not c.given.all()]
    b = [abs(np.log(np.maximum(fit(c.sizes, c.errors)(c.at), 1e-3) / c.measured))
         for c in map(user_case, curves) if c]
    found[name] = {"A": _mean_median(a), "B": np.mean(b, 0).round(4).tolist()}
  return found


def main(_) -> None:
  np.seterr(all="ignore")  # of the baselines, which overflow on their way
  curves, result = read(_CURVES.value), {}
  result["laws"] = {}
  for name, law in LAWS.items():
    cases = list(law_cases(law, _DRAWS.value))
    result["laws"][name] = figures(cases, [
        log_forecast(forecast.fit(c.sizes, c.errors), c) for c in cases])
  if curves:
    result["curves"] = len(curves)
    result["default_priors"] = protocols(curves, [None] * len(curves))
    result["baselines"] = baselines(curves)
  if curves and _LEARN.value:
    measured, laws = learn(curves, _DRAWS.value)
    result["learnt"] = chosen(measured, laws, np.ones(len(curves), bool)).__dict__
    for fold in ("network", "target"):
      names = np.array([getattr(curve, fold) for curve in curves])
      picks = {name: chosen(measured, laws, names != name) for name in dict.fromkeys(names)}
      result[f"without_{fold}"] = {
          "chosen": {str(name): list(p.__dict__.values()) for name, p in picks.items()},
          **protocols(curves, [picks[name] for name in names])}
  print(json.dumps(result))


if __name__ == "__main__":
  app.run(main)
