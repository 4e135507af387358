"""Bytes on the fullest parameter server over the mean, for the paper's model.

  python -m experiments.benchmarks.server_balance

ResNet-101 with 18,291 classes in 50 shards on 2, 3 and 17 servers, by bytes and by the baseline,
TensorFlow's round robin. One JSON line; the bar is 1.05. Slots stand beside their variables, so
the ratio is theirs too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from jft_reps import program
from jft_reps.models import classifier, resnet
from jft_reps.training.cluster import placement

_BAR = 1.05


def main(argv: Sequence[str]) -> int:
  build = lambda: classifier.Classifier(resnet.ResNet(depth=101), 18_291, shards=50, prior=1e-3)
  sizes = [v.bytes for v in placement.created_variables(build)]
  found = {}
  for servers in (2, 3, 17):
    mean = sum(sizes) / servers
    by_bytes = placement.bytes_per_server(sizes, placement.plan(sizes, servers), servers)
    robin = placement.bytes_per_server(sizes, [i % servers for i in range(len(sizes))], servers)
    found[servers] = {"by_bytes": round(max(by_bytes) / mean, 4),
                      "round_robin": round(max(robin) / mean, 4)}
  print(json.dumps({"benchmark": "server_balance", "mib": round(sum(sizes) / 2**20, 1),
                    "fullest_over_mean": found, "bar": _BAR}))
  return int(any(f["by_bytes"] > _BAR for f in found.values()))


if __name__ == "__main__":
  sys.exit(program.run(main))
