"""One worker or parameter server as a process: `python -m jft_reps.training.cluster.serve`.

The role comes from `TF_CONFIG`. `train` becomes the same when its `TF_CONFIG` says so; this
module is what the local process cluster starts.
"""

from __future__ import annotations

import os
import sys

from jft_reps import environment
from jft_reps.errors import JftError


def main() -> int:
  environment.set_defaults()
  from jft_reps.training.cluster import start as cluster_lib

  try:
    return cluster_lib.serve(cluster_lib.from_tf_config(os.environ.get("TF_CONFIG", "")))
  except JftError as e:
    print(f"jft_reps: {e}", file=sys.stderr)
    return e.exit_code


if __name__ == "__main__":
  # TensorFlow's server threads never end by themselves.
  os._exit(main())
