"""The questions one comes with, answered from a fitted curve, as dataclasses to show."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from jft_reps.errors import DataError
from jft_reps.studies.forecast import curve as curves
from jft_reps.studies.forecast import model, scale

FACTORS = (2.0, 5.0, 10.0)
HORIZON = 1000.0  # times the largest size: further than that nothing is said of a target
DRAWS = 4000
NEXT_FACTORS = (0.1, 0.3, 1.0, 2.0, 3.0, 5.0)  # sizes to train next, of the largest
WORTHWHILE = 0.1  # `next` asks for at least this much off the interval


@dataclasses.dataclass(frozen=True)
class Prediction:
  """A value expected, and where 95 of 100 new measurements would fall."""

  size: float
  factor: float
  value: float
  low: float
  high: float


@dataclasses.dataclass(frozen=True)
class Doubling:
  """What the next doubling is worth. A gain is an improvement, whichever way is better.

  Attributes:
    gain, low, high: of the value, without noise of seeds.
    pictures: how many more.
    cost, hours: of the pictures, of a run with all of them; None: not asked.
  """

  gain: float
  low: float
  high: float
  pictures: float
  cost: float | None
  hours: float | None


@dataclasses.dataclass(frozen=True)
class Target:
  """When a value is reached.

  Attributes:
    value: the target.
    pictures, low, high: size at which it is reached, with a 95 % interval; infinite: beyond
      `HORIZON` times the largest size.
    never: probability that it is not reached within `HORIZON` times the largest size.
    sentence: the same in words.
  """

  value: float
  pictures: float
  low: float
  high: float
  never: float
  sentence: str


@dataclasses.dataclass(frozen=True)
class Candidate:
  """A size to train next: the width of the interval at `Next.at` expected after it, in values."""

  size: float
  width: float
  cost: float


@dataclasses.dataclass(frozen=True)
class Next:
  """Which size to train next.

  Attributes:
    at: size whose interval is to shrink.
    width: width of that interval now, without noise of seeds.
    size: the size that takes most off it for its cost; None: none takes off a tenth.
    candidates: all that were considered.
    sentence: the same in words.
  """

  at: float
  width: float
  size: float | None
  candidates: tuple[Candidate, ...]
  sentence: str


@dataclasses.dataclass(frozen=True)
class BackTest:
  """The largest size foretold from the smaller ones; `measured` is the mean of its seeds."""

  foretold: Prediction
  measured: float
  inside: bool
  sentence: str


@dataclasses.dataclass(frozen=True)
class Forecast:
  """All answers about one curve; what a report's page needs to show it.

  Attributes:
    name: task or arm.
    word: what the values are called.
    sizes, values: measured, sorted by size.
    predictions: at 2, 5 and 10 times, and where else was asked.
    sentence: the first answer in words.
    notes: what was assumed or is out of the ordinary.
    band: predictions to draw, from the smallest size to the furthest.
  """

  name: str
  word: str
  sizes: tuple[float, ...]
  values: tuple[float, ...]
  predictions: tuple[Prediction, ...]
  doubling: Doubling
  target: Target | None
  next: Next | None
  back_test: BackTest | None
  sentence: str
  notes: tuple[str, ...]
  band: tuple[Prediction, ...]


def predict(fitted: curves.Fitted, sizes: Sequence[float]) -> tuple[Prediction, ...]:
  rows = zip(sizes, *(column.tolist() for column in fitted.at(np.array(sizes))))
  return tuple(Prediction(float(size), float(size) / fitted.largest, value, low, high)
               for size, value, low, high in rows)


def doubling(fitted: curves.Fitted, cost_per_picture: float | None = None,
             hours_per_run: float | None = None) -> Doubling:
  """The gain of twice the data, from curves drawn together at both sizes."""
  logs, _ = fitted.posterior.draws(np.log([1.0, 2.0]), DRAWS)
  errors = np.minimum(np.exp(logs), fitted.scale.largest_error) * fitted.scale.unit
  gain, low, high = np.quantile(errors[:, 0] - errors[:, 1], curves.MIDDLE_AND_ENDS)
  return Doubling(
      float(gain), float(low), float(high), fitted.largest,
      None if cost_per_picture is None else cost_per_picture * fitted.largest,
      None if hours_per_run is None else 2 * hours_per_run)


def target(fitted: curves.Fitted, value: float) -> Target:
  """The size at which a value is reached.

  The probability that size n reaches it is that of the curve being below it at n; over n that is
  the distribution of the size needed.

  Raises:
    DataError: the value is perfect, beyond it, or worse than chance.
  """
  ends = fitted.scale
  error = float(ends.errors(np.array([value]))[0])
  if not (math.isfinite(error) and 0 < error < ends.largest_error):
    raise DataError("forecast-target", "--target", f"{value:g}",
                    f"a value between {ends.best:g} and "
                    + ("chance" if ends.chance is None else f"{ends.chance:g}"),
                    "See --best, --chance and --higher_is_better.")
  u = np.log(np.geomspace(1.0, HORIZON, 121))
  shares = np.linspace(0.005, 0.995, 199)
  logs = fitted.posterior.quantiles(u, shares)
  reached = np.array([np.interp(math.log(error), row, shares, 0.0, 1.0) for row in logs])
  reached = np.maximum.accumulate(reached)  # once is enough

  def size(share: float) -> float:
    if reached[-1] < share:
      return math.inf
    return fitted.largest * math.exp(float(np.interp(share, reached + 1e-9 * u, u)))

  pictures, low, high, never = size(0.5), size(0.025), size(0.975), 1 - float(reached[-1])
  if reached[0] >= 0.5:
    sentence = f"{value:g} is reached already, with a probability of {_percent(reached[0])}"
  elif math.isinf(pictures):
    sentence = (f"{value:g} is probably not reached with {HORIZON:g} times the data: with a "
                f"probability of {_percent(never)}")
  else:
    sentence = (f"{value:g} takes {count(pictures)} pictures ({count(low)} to "
                + (f"more than {count(HORIZON * fitted.largest)}" if math.isinf(high)
                   else count(high)) + ")"
                + (f", and with a probability of {_percent(never)} more than {HORIZON:g} times the "
                   "data" if never >= 0.005 else ""))
  return Target(value, pictures, low, high, never, sentence)


def next_run(fitted: curves.Fitted, at: float, cost_per_picture: float | None = None) -> Next:
  """Which size to train next so that the interval at `at` shrinks most for its cost.

  Curves are drawn; each in turn is taken for the truth and measured, with noise, at a candidate
  size; all are weighted by how well they agree with that, and the width of what remains at `at` is
  averaged. A run costs its size; with a price, pictures beyond the largest size are paid as well.
  """
  sizes = [fitted.largest * factor for factor in NEXT_FACTORS]
  logs, sigma = fitted.posterior.draws(fitted.place([*sizes, at]), DRAWS // 2)
  errors = np.minimum(np.exp(logs[:, -1]), fitted.scale.largest_error) * fitted.scale.unit
  now = float(np.subtract(*np.quantile(errors, [0.975, 0.025])))
  order, truths = np.argsort(errors), slice(0, None, 10)
  noise = np.random.default_rng(1).standard_normal(len(logs))[truths]
  found = []
  for column, size in enumerate(sizes):
    seen = logs[truths, column] + sigma[truths] * noise
    # A little wider than the noise, as draws lie apart from one another.
    spread = np.hypot(sigma, logs[:, column].std() / 50)
    weights = np.exp(-0.5 * ((seen[:, None] - logs[:, column]) / spread) ** 2) / spread
    below = np.cumsum(weights[:, order], 1)
    below /= below[:, -1:]
    widths = [np.interp(0.975, row, errors[order]) - np.interp(0.025, row, errors[order])
              for row in below]
    cost = size if cost_per_picture is None else cost_per_picture * max(size - fitted.largest, 0)
    found.append(Candidate(size, min(float(np.mean(widths)), now), cost))
  useful = [one for one in found if one.width <= (1 - WORTHWHILE) * now]
  if not useful:
    return Next(at, now, None, tuple(found),
                f"no single run of up to {NEXT_FACTORS[-1]:g} times the largest size would take a "
                f"tenth off the interval at {count(at)} pictures")
  best = max(useful, key=lambda one: (now - one.width) / max(one.cost, 1e-9))
  price = f"{best.size / fitted.largest:.2g} times the largest"
  return Next(at, now, best.size, tuple(found),
              f"train {count(best.size)} pictures next ({price}): the interval at {count(at)} is "
              f"expected to shrink from {number(now)} to {number(best.width)}")


def back_test(fitted: curves.Fitted) -> BackTest | None:
  """The largest size foretold from the smaller ones; None: fewer than three smaller ones."""
  last = fitted.sizes == fitted.largest
  if len(np.unique(fitted.sizes[~last])) < scale.LEAST_SIZES:
    return None
  smaller = curves.Fitted(fitted.sizes[~last], fitted.values[~last], fitted.scale)
  foretold = predict(smaller, [fitted.largest])[0]
  # Averaged as the model averages: errors, in the logarithm.
  errors = fitted.scale.errors(fitted.values[last])
  measured = float(fitted.scale.values(np.array([np.exp(np.log(errors).mean())]))[0])
  inside = foretold.low <= measured <= foretold.high
  return BackTest(foretold, measured, inside,
                  f"from the smaller sizes, {count(fitted.largest)} pictures were foretold at "
                  f"{spoken(foretold)}; measured was {number(measured)}, "
                  f"{'inside' if inside else 'outside'} the interval")


def answer(fitted: curves.Fitted, name: str = "", word: str = "", at: Sequence[float] = (),
           target_value: float | None = None, cost_per_picture: float | None = None,
           hours_per_run: float | None = None, plan_next: bool = False,
           notes: Sequence[str] = ()) -> Forecast:
  """Asks everything of one curve; the arguments are those of `workflows.forecasting.forecast`."""
  word = word or ("score" if fitted.scale.higher_is_better else "error")
  sizes = [fitted.largest * factor for factor in FACTORS]
  predictions = predict(fitted, sizes + [size for size in at if size not in sizes])
  worth = doubling(fitted, cost_per_picture, hours_per_run)
  wanted = None if target_value is None else target(fitted, target_value)
  goal = sizes[-1]
  if wanted is not None and fitted.largest < wanted.pictures < math.inf:
    goal = wanted.pictures
  furthest = max([*sizes, *at])
  now, far = predict(fitted, [fitted.largest])[0], predictions[2]
  moves = "bring" if worth.gain >= 0 else "take"
  sentence = (f"ten times more pictures {moves} the {word} from {number(now.value)} to "
              f"{spoken(far)}")
  tested = back_test(fitted)
  return Forecast(
      name, word, tuple(fitted.sizes.tolist()), tuple(fitted.values.tolist()), predictions, worth,
      wanted, next_run(fitted, goal, cost_per_picture) if plan_next else None, tested, sentence,
      tuple([*notes, *remarks(fitted, tested is None)]),
      predict(fitted, np.geomspace(fitted.sizes[0], furthest, 80).tolist()))


def asides(one: Forecast) -> list[str]:
  """What else was asked, and the back-test, in words."""
  parts = [part.sentence for part in (one.target, one.next) if part is not None]
  if one.back_test is None:
    return [*parts, "no back-test, which takes four sizes"]
  return [*parts, f"back-test: {one.back_test.sentence}"]


def remarks(fitted: curves.Fitted, untested: bool) -> list[str]:
  """What was assumed, and what is out of the ordinary."""
  ends, found = fitted.scale, []
  found.append(f"perfect is {ends.best:g}, chance " + (
      "is unknown and bounds nothing" if ends.chance is None else f"is {ends.chance:g}"))
  distinct, counts = np.unique(fitted.sizes, return_counts=True)
  if untested:
    found.append(f"no back-test: {len(distinct)} sizes are too few to leave one out")
  if counts.max() == 1:
    found.append("one seed per size: the noise of seeds is guessed from how the points scatter")
  elif len(set(counts.tolist())) > 1:
    found.append(f"{counts.min()} to {counts.max()} seeds per size: each size counts by its seeds")
  if len(distinct) > model.MOST_POINTS:
    found.append(f"{len(distinct)} sizes were averaged in {len(fitted.points.u)} bins")
  if fitted.points.logs[-1] > fitted.points.logs[0]:
    found.append("the values get worse with more data: look for a fault before buying more")
  elif doubling(fitted).low <= 0:
    found.append("the interval of the next doubling's gain holds zero: more data may not help")
  return found


def number(value: float) -> str:
  return f"{value:.3g}"


def spoken(prediction: Prediction) -> str:
  return f"{number(prediction.value)} ({number(prediction.low)} to {number(prediction.high)})"


def count(size: float) -> str:
  """A number of pictures in words: 1,200 or 3.4 million."""
  if math.isinf(size):
    return "more"
  for unit, word in ((1e9, " billion"), (1e6, " million")):
    if size >= unit:
      return f"{size / unit:.3g}{word}"
  return f"{float(f'{size:.3g}'):,.10g}"


def _percent(share: float) -> str:
  return f"{100 * share:.0f} %"
