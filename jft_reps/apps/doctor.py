"""One screen: versions, devices, known-bad combinations, disk, and whether a cluster answers.

  python -m jft_reps.apps.doctor [--workdir=DIR] [--timeout=5]

With TF_CONFIG in the environment it also tries every address. Exit code 1 if a check fails.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line

FLAGS = flags.FlagValues()
flags.DEFINE_string("workdir", ".", "Where runs will be written.", flag_values=FLAGS)
flags.DEFINE_float("timeout", 5.0, "Seconds to wait for the cluster.", flag_values=FLAGS)
flags.DEFINE_boolean("allow_remote_cluster", False,
                     "Accept addresses beyond this machine in TF_CONFIG.", flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  command_line.parse(FLAGS, argv, __doc__)
  from jft_reps.training import doctor

  findings = doctor.examine(FLAGS.workdir, os.environ.get("TF_CONFIG", ""), FLAGS.timeout,
                            FLAGS.allow_remote_cluster)
  for finding in findings:
    print(f"{finding.mark}  {finding.what:<22} {finding.found}")
    if finding.fix:
      print(f"      → {finding.fix}")
  return int(any(f.mark == "FAIL" for f in findings))


if __name__ == "__main__":
  sys.exit(command_line.run(main))
