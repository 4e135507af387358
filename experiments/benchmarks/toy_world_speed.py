"""Pictures of the toy world per second on one core, as one JSON line.

  python -m experiments.benchmarks.toy_world_speed [--pictures=2000] [--size=96]

The bar is 500 at 96 pixels: image, labels and boxes of `train`. Beside it: labels alone, and with
masks, and with the JPEG encoded. Each number is the best of three rounds, since other programs can
only slow a round down.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable

from jft_reps.toy_world import render_process
from jft_reps.toy_world.world import Picture, ToyWorld

BAR = 500
ROUNDS = 3


def rate(world: ToyWorld, pictures: int, use: Callable[[Picture], object]) -> float:
  """Pictures per second, best of `ROUNDS` rounds over different pictures."""
  best = 0.0
  for i in range(ROUNDS):
    began = time.process_time()
    for index in range(i * pictures, (i + 1) * pictures):
      use(world.picture("train", index))
    best = max(best, pictures / (time.process_time() - began))
  return round(best, 1)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--pictures", type=int, default=2000)
  parser.add_argument("--size", type=int, default=96)
  flags = parser.parse_args()
  if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
  world = ToyWorld(size=flags.size)
  world.picture("train", 0).image  # noqa: B018, fills the caches of shapes and textures
  drawn = rate(world, flags.pictures, lambda p: (p.image, p.labels, [o.box for o in p.objects]))
  print(json.dumps({
      "benchmark": "toy_world_speed", "size": flags.size, "pictures": flags.pictures,
      "pictures_per_second": drawn,
      "with_masks": rate(world, flags.pictures, lambda p: [o.mask for o in p.objects]),
      "with_jpeg": rate(
          world, flags.pictures,
          lambda p: render_process.encoded(p, 95, masks=False, keypoints=False)),
      "labels_alone": rate(world, flags.pictures, lambda p: p.labels),
      "bar": BAR, "ratio": round(drawn / BAR, 3), "pass": drawn >= BAR,
  }))


if __name__ == "__main__":
  main()
