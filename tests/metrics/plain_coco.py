"""COCO's numbers for boxes, transcribed from its definition in plain loops."""

from __future__ import annotations

import numpy as np

AREAS = [(0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)]


def overlap(box, other, crowd):
  sides = [min(box[i + 2], other[i + 2]) - max(box[i], other[i]) for i in (0, 1)]
  if min(sides) <= 0:
    return 0.0
  own, theirs = ((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
  shared = sides[0] * sides[1]
  return shared / (own if crowd else own + theirs - shared)


def outcomes(found, truth, threshold, bounds, limit):
  """One class in one picture: (score, hit) of what counts, and the number of positives."""
  truth = [(box, crowd, crowd or not bounds[0] <= area <= bounds[1])
           for box, crowd, _, area in truth]
  taken, counted = set(), []
  for score, box in found[:limit]:
    best = {}
    for ignored in (False, True):
      for g, (other, crowd, leave) in enumerate(truth):
        o = overlap(box, other, crowd)
        if leave == ignored and (crowd or g not in taken) and o >= threshold:
          if ignored not in best or o >= best[ignored][0]:
            best[ignored] = (o, g)
    if best:
      taken.add(best[min(best)][1])
    if False in best:
      counted.append((score, True))
    elif not best and bounds[0] <= (box[2] - box[0]) * (box[3] - box[1]) <= bounds[1]:
      counted.append((score, False))
  return counted, sum(not leave for _, _, leave in truth)


def precisions_and_recall(pictures, c, threshold, bounds, limit):
  """101 precisions and the recall reached of a class; None without positives."""
  counted, positives = [], 0
  for found, truth in pictures:
    mine = sorted(((s, tuple(b)) for b, k, s in zip(found.boxes, found.classes, found.scores)
                   if k == c), key=lambda d: (-d[0], d[1]))
    own = sorted((tuple(b), bool(w), bool(d), a) for b, k, w, d, a in zip(
        truth.boxes, truth.classes, truth.crowd, truth.difficult, truth.area) if k == c)
    more, n = outcomes(mine, own, threshold, bounds, limit)
    counted, positives = counted + more, positives + n
  if not positives:
    return None
  counted.sort(key=lambda d: -d[0])
  points, hits = [], 0
  for i, (_, hit) in enumerate(counted, 1):
    hits += hit
    points.append((hits / positives, hits / i))
  levels = [max((p for r, p in points if r >= level), default=0.0)
            for level in np.linspace(0, 1, 101)]
  return levels, hits / positives


def transcription(pictures, classes=3):
  """COCO's definition in plain loops; `pictures` in the order of their ids."""
  thresholds = np.linspace(0.5, 0.95, 10)
  where = {"AP": (0, 100, None), "AP50": (0, 100, 0), "AP75": (0, 100, 5), "APs": (1, 100, None),
           "APm": (2, 100, None), "APl": (3, 100, None), "ARmax1": (0, 1, None),
           "ARmax10": (0, 10, None), "ARmax100": (0, 100, None), "ARs": (1, 100, None),
           "ARm": (2, 100, None), "ARl": (3, 100, None)}
  numbers = {}
  for name, (area, limit, only) in where.items():
    chosen = thresholds if only is None else thresholds[[only]]
    cells = [precisions_and_recall(pictures, c, t, AREAS[area], limit)
             for c in range(classes) for t in chosen]
    values = [np.mean(cell[0]) if name.startswith("AP") else cell[1] for cell in cells if cell]
    numbers[name] = float(np.mean(values)) if values else None
  return numbers
