"""The model of a learning curve: many shapes at once, each with an allowance for being wrong.

An error ε falls with the size of the data, written u = log(size / largest size), along

    η(u) = a - c u + h(u)                                  a straight line and a discrepancy
    log (ε - ε∞) / (ε0 - ε)^α = η(u) + constant            M4 of Alabdulmohsin et al. (2022)
    log measured = log ε + noise of a seed

ε0 is the error of chance, ε∞ an asymptote, α how far below chance the curve is still bent by it.
α = 0 is a power law with an asymptote. An ε∞ below zero leads towards a line that is straight in
log size. h is a random walk of the slope, on either side of the largest size: within the data the
curve may wander, beyond them the standard deviation of η grows as distance^1.5, so a forecast is
trusted less the further it goes, however well the curve fits.

ε∞, α, the noise σ and the size τ of the discrepancy are on a grid. At each node of it a, c and h
are Gaussian but for the bend of ε(η), which Gauss-Newton steps follow (a Laplace approximation).
The forecast is the mixture of all nodes, weighted by how well they explain the curve and by the
priors below. Nothing is drawn at random.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from scipy.special import expit, log_expit, ndtri

Array = np.ndarray

# The grid. An asymptote is a share of the smallest measured error, so that units do not matter.
# Straight in log size but for the last tenth; nearly; between; a pure power law.
NO_ASYMPTOTE = (-6.0, -2.0, -0.5, 0.0)
ASYMPTOTES = (0.25, 0.45, 0.6, 0.72, 0.82, 0.9)
BENDS = (0.0, 0.05, 0.1, 0.2)  # α: a power law until chance stops it, sharply
NOISES = (0.002, 0.005, 0.0125, 0.03, 0.075)  # σ, of the logarithm of an error
DISCREPANCIES = (0.01, 0.03, 0.08, 0.2)  # τ: how much the slope changes over one e-fold of size

# c, the slope of η at the largest size: mean and standard deviation. In 36 curves of JFT-300M
# d log ε / d log size lies between 0 and -0.9; a quarter of the prior's mass at 0 and below keeps a
# flat curve flat. The level a may be anything.
SLOPE = (0.25, 0.35)
LEVEL_SPREAD = 10.0

STEPS = 6  # of Gauss-Newton; twenty give the same log errors to 0.002
MOST_POINTS = 16  # more sizes than that are averaged in bins even in log size
STRAIGHT_FLOOR = 0.05  # a straight line ends at this share of the smallest error, not at zero
_PARTS = ndtri((np.arange(31) + 0.5) / 31)  # a Gaussian as 31 equal parts


@dataclasses.dataclass(frozen=True)
class Priors:
  """What is believed of a curve before it is seen; see docs/forecast.md for how it was learnt.

  `experiments/benchmarks/forecast.py --learn` chooses these three numbers, and prints what each
  fold chooses that leaves out a network or a target. The default is what most folds choose.

  Attributes:
    noise: median σ. Its logarithm has standard deviation 1, as has that of τ: a factor of 2.7.
    discrepancy: median τ.
    no_asymptote: probability that no asymptote above zero is in sight.
  """

  noise: float = 0.008
  discrepancy: float = 0.015
  no_asymptote: float = 0.65


@dataclasses.dataclass(frozen=True)
class Points:
  """A curve as the model sees it, one point per size (or bin of sizes).

  Attributes:
    u: log(size / largest size), rising, `[points]`.
    logs: mean log error of the point, `[points]`.
    counts: values behind it, `[points]`.
    scatter: sum of squares of log errors about their point.
    freedom: degrees of freedom of `scatter`.
  """

  u: Array
  logs: Array
  counts: Array
  scatter: float
  freedom: int


def gather(sizes: Array, errors: Array) -> Points:
  """Averages the seeds of each size; where sizes are many, the sizes of each bin as well."""
  order = np.lexsort((errors, sizes))  # so that the order of rows cannot change a digit
  u, logs = np.log(sizes[order]) - np.log(sizes.max()), np.log(errors[order])
  places, group = np.unique(u, return_inverse=True)
  binned = len(places) > MOST_POINTS
  if binned:
    edges = np.linspace(u[0], 0, MOST_POINTS, endpoint=False)
    group = np.unique(np.digitize(u, edges), return_inverse=True)[1]
  counts = np.bincount(group).astype(float)
  mean_u, mean_log = np.bincount(group, u) / counts, np.bincount(group, logs) / counts
  scatter, freedom = 0.0, 0
  for point, count in enumerate(counts):
    x, y = (u - mean_u[point])[group == point], (logs - mean_log[point])[group == point]
    if binned and count > 2:  # the slope within the bin is no noise
      y = y - x * (x @ y) / max(x @ x, 1e-12)
    if count > 1 + binned:
      scatter, freedom = scatter + float(y @ y), freedom + int(count) - 1 - binned
  return Points(mean_u, mean_log, counts, scatter, freedom)


def softplus(w: Array) -> Array:
  return -log_expit(-w)


def unbend(eta: Array, alpha: Array) -> Array:
  """The w with alpha softplus(w) - softplus(-w) = eta: M4, with w = logit((ε - ε∞) / (ε0 - ε∞))."""
  # Increasing, and concave or convex throughout, so Newton's steps converge from anywhere.
  w = np.where(eta < 0, eta, eta / alpha)
  for _ in range(7):
    w = w - (alpha * softplus(w) - softplus(-w) - eta) / (alpha * expit(w) + expit(-w))
  return w


def walk(u: Array, v: Array) -> Array:
  """Covariance of h at τ = 1: a random walk of the slope, summed up from u = 0 to either side."""
  near, far = np.minimum(abs(u), abs(v)), np.maximum(abs(u), abs(v))
  return np.where(u * v > 0, near**2 * (3 * far - near) / 6, 0.0)


class Posterior:
  """What a curve says of its shape.

  Attributes:
    weights: probability of each node of the grid, `[nodes]`.
    sigma: noise of one seed at each node, `[nodes]`.
  """

  def __init__(self, points: Points, chance: float = np.inf, priors: Priors | None = None):
    """Fits every node of the grid.

    Args:
      points: the curve; errors above 0 and not above `chance`.
      chance: error of chance; infinite: unknown, then only α = 0 is tried.
      priors: instead of the default.
    """
    self._points, self._chance = points, chance
    bends = BENDS if np.isfinite(chance) else (0.0,)
    shapes = [(e, a) for e in NO_ASYMPTOTE + ASYMPTOTES for a in (bends if e >= 0 else (0.0,))]
    nodes = np.array([(*shape, s, t)
                      for shape, s, t in itertools.product(shapes, NOISES, DISCREPANCIES)])
    self._asymptote, self._alpha, self.sigma, self._tau = nodes.T
    self._least = np.exp(points.logs.min())
    # d log ε / du is c (1 - ε∞ / ε): the prior of a straight line is scaled to the same slope of ε.
    self._flatter = 1 / (1 - np.minimum(self._asymptote, 0))
    self._low = self._asymptote * self._least
    self._evidence = self._fit()
    self.weights = self.weighted(priors or Priors())

  def _fit(self) -> Array:
    """Finds the mode at every node, and returns the logarithm of its evidence."""
    p = self._points
    mean, prior = self._expected(p.u), self._prior(p.u[:, None], p.u)
    noise = (self.sigma[:, None] ** 2 / p.counts)[:, :, None] * np.eye(len(p.u))
    design = np.stack([np.ones_like(p.u), p.u], 1)
    eta = self._start() @ (design @ np.linalg.pinv(design)).T  # the straight line through it
    for _ in range(STEPS):
      log, bend = self._curve(eta)  # log ε and d log ε / dη, where the linear model is exact
      off = p.logs - log + bend * (eta - mean)
      covariance = bend[:, :, None] * prior * bend[:, None, :] + noise
      solved = np.linalg.solve(covariance, off[..., None])[..., 0]
      step = mean + np.einsum("jab,jb->ja", prior, bend * solved) - eta
      eta = eta + np.clip(step, -2, 2)
    self._bend, self._solved, self._inverse = bend, solved, np.linalg.inv(covariance)
    # Values of one size tell about σ whatever the curve is.
    repeated = -p.freedom * np.log(self.sigma) - p.scatter / (2 * self.sigma**2)
    return repeated - 0.5 * (off * solved).sum(1) - 0.5 * np.linalg.slogdet(covariance)[1]

  def _expected(self, v: Array, rows: Array | slice = slice(None)) -> Array:
    """Prior mean of η at v, `[nodes, v]`."""
    return -SLOPE[0] * self._flatter[rows, None] * v

  def _prior(self, v: Array, w: Array, rows: Array | slice = slice(None)) -> Array:
    """Prior covariance of η at v and w, which broadcast; `[nodes, …]`."""
    shape = (-1,) + (1,) * np.broadcast(v, w).ndim
    slope, tau = (SLOPE[1] * self._flatter[rows]).reshape(shape), self._tau[rows].reshape(shape)
    return LEVEL_SPREAD**2 + slope**2 * v * w + tau**2 * walk(v, w)

  def _start(self) -> Array:
    """η of the measured errors, `[nodes, points]`."""
    part = np.exp(self._points.logs) - self._low[:, None]
    if not np.isfinite(self._chance):
      return np.log(part)
    share = np.clip(part / (self._chance - self._low[:, None]), 1e-6, 1 - 1e-6)
    w, alpha = np.log(share / (1 - share)), self._alpha[:, None]
    return np.where(alpha > 0, alpha * softplus(w) - softplus(-w), np.log(part))

  def weighted(self, priors: Priors) -> Array:
    """Probability of each node under other priors, `[nodes]`; costs nothing."""
    bounded = self._asymptote > 0
    # An equal share for each asymptote of its kind, and within it for each bend.
    share = np.where(bounded, (1 - priors.no_asymptote) / len(ASYMPTOTES),
                     priors.no_asymptote / len(NO_ASYMPTOTE))
    bends = len(BENDS) if np.isfinite(self._chance) else 1
    logs = np.log(share / np.where(self._asymptote < 0, 1, bends))
    for value, median in ((self.sigma, priors.noise), (self._tau, priors.discrepancy)):
      logs = logs - 0.5 * np.log(value / median) ** 2
    logs = logs + self._evidence
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()

  def _curve(self, eta: Array, rows: Array | slice = slice(None)) -> tuple[Array, Array]:
    """log ε and d log ε / dη at η `[nodes, …]` of the nodes `rows`."""
    shape = (-1,) + (1,) * (eta.ndim - 1)
    low, alpha = self._low[rows].reshape(shape), self._alpha[rows].reshape(shape)
    change = np.exp(np.minimum(eta, 50))
    error = low + change
    bent = self._alpha[rows] > 0
    if bent.any():
      share = expit(unbend(eta[bent], alpha[bent]))
      error[bent] = low[bent] + (self._chance - low[bent]) * share
      change[bent] = (self._chance - low[bent]) * share * (1 - share) / (
          alpha[bent] * share + 1 - share)
    error = np.clip(error, STRAIGHT_FLOOR * self._least, self._chance)
    return np.log(error), change / error

  def _latent(self, v: Array, rows: Array) -> tuple[Array, Array]:
    """Mean of η at v, `[nodes, v]`, and the part in it of each point, `[nodes, v, points]`."""
    gain = self._prior(v[:, None], self._points.u, rows) * self._bend[rows][:, None, :]
    return self._expected(v, rows) + np.einsum("jva,ja->jv", gain, self._solved[rows]), gain

  def quantiles(self, v: Array, shares: Array, seeds: float = np.inf) -> Array:
    """Quantiles of log error at each v = log(size / largest size), `[v, shares]`.

    Args:
      v: where, `[v]`.
      shares: which, such as 0.5.
      seeds: what is foretold is a mean of so many; infinite: the curve itself.
    """
    rows = np.flatnonzero(self.weights > 1e-4 * self.weights.max())
    weights = np.repeat(self.weights[rows] / len(_PARTS), len(_PARTS))
    found = []
    for part in np.array_split(v, max(1, len(v) // 64)):  # bounds memory
      mean, gain = self._latent(part, rows)
      variance = self._prior(part, part, rows) - np.einsum(
          "jva,jab,jvb->jv", gain, self._inverse[rows], gain)
      spread = np.sqrt(np.maximum(variance, 0))
      logs, bend = self._curve(mean[..., None] + spread[..., None] * _PARTS, rows)
      if np.isfinite(seeds):  # widens a node's distribution about its middle
        own = logs.std(-1, keepdims=True)
        wider = np.hypot(own, self.sigma[rows, None, None] / np.sqrt(seeds))
        middle = logs[..., len(_PARTS) // 2, None]
        logs = middle + (logs - middle) * wider / np.maximum(own, 1e-9)
      for one in logs.transpose(1, 0, 2).reshape(len(part), -1):
        order = np.argsort(one)
        below = np.cumsum(weights[order]) - weights[order] / 2
        found.append(np.interp(shares, below, one[order]))
    return np.array(found)

  def draws(self, v: Array, number: int) -> tuple[Array, Array]:
    """Curves drawn together at all v: log errors `[number, v]` and each one's σ `[number]`."""
    # Nodes by even steps through their probabilities, Gaussians from a fixed seed: the same curve
    # gets the same answer.
    steps = (np.arange(number) + 0.5) / number
    rows = np.minimum(np.searchsorted(np.cumsum(self.weights), steps), len(self.weights) - 1)
    nodes, where = np.unique(rows, return_inverse=True)
    mean, gain = self._latent(v, nodes)
    covariance = self._prior(v[:, None], v, nodes) - np.einsum(
        "jva,jab,jwb->jvw", gain, self._inverse[nodes], gain)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))[:, None, :]
    normal = np.random.default_rng(0).standard_normal((number, len(v)))
    eta = mean[where] + np.einsum("kvw,kw->kv", root[where], normal)
    return self._curve(eta, rows)[0], self.sigma[rows]
