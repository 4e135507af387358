"""Compares a weight file with the network of those who wrote it, stage by stage.

  python -m jft_reps.apps.verify_init --source=resnet_v1_101.ckpt [--pictures=FOLDER]

The same pictures go through the source's own graph and through ours, which takes the file's
weights under our names. Graphs of TF-slim, keras.applications and Model Garden can be built here;
of other files it says what was recognised and whether every name found its partner. Exit code 3 if
features differ by more than --tolerance of the largest one, 4 if names are left over.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError, NumericError

FLAGS = flags.FlagValues()
flags.DEFINE_string("source", None, "Weight file, checkpoint without ending, or a run directory.",
                    flag_values=FLAGS)
flags.DEFINE_string("pictures", None, "Folder whose first JPEG and PNG files are taken, resized; "
                    "default: generated noise.", flag_values=FLAGS)
flags.DEFINE_integer("count", 2, "Number of pictures.", lower_bound=1, upper_bound=64,
                     flag_values=FLAGS)
flags.DEFINE_list("sizes", ["224", "299"], "Sides of the pictures in pixels.", flag_values=FLAGS)
flags.DEFINE_list("strides", ["32", "16"], "Output strides of our network.", flag_values=FLAGS)
flags.DEFINE_float("tolerance", 1e-4, "Largest difference, in units of the largest feature.",
                   lower_bound=0.0, flag_values=FLAGS)
_SIZES, _STRIDES = range(32, 1025), (8, 16, 32)


def main(argv: Sequence[str]) -> int:
  command_line.parse(FLAGS, argv, __doc__, required=("source",))
  sizes = _numbers("sizes", _SIZES, "32 to 1024")
  strides = _numbers("strides", _STRIDES, "8, 16 or 32")
  from jft_reps.models.pretrained import loading, matching, own, sample_pictures, source_graphs
  from jft_reps.models.variables import named_variables
  from jft_reps.workflows import weights

  source = weights.open_source(FLAGS.source)
  found = matching.coverage(source, named_variables(loading.network(source)))
  print("\n".join(_recognised(source, found)), flush=True)
  matching.check(source, found)
  if not source_graphs.strides(source):
    why = ("its authors' network is ours" if source.format == own.FORMAT else
           f"no graph of {source.format} can be built here")
    print(f"  features  not compared: {why}")
    return 0
  paths = sample_pictures.files(FLAGS.pictures, FLAGS.count) if FLAGS.pictures else []
  named = f"{', '.join(paths)}, resized" if paths else f"{FLAGS.count} of smooth noise, seed 0"
  print(f"  pictures  {named}", flush=True)
  pictures = {size: sample_pictures.read(paths, size) if paths else
              sample_pictures.noise(size, FLAGS.count) for size in sizes}
  return compare(source, pictures, strides, FLAGS.tolerance)


def compare(source, pictures, strides: Sequence[int], tolerance: float) -> int:
  """Prints a row per stage, size and stride.

  Args:
    source: `models.pretrained.source.WeightSource`.
    pictures: uint8 `[n, size, size, 3]` by size.
    strides: output strides of our network.
    tolerance: of the relative difference.

  Raises:
    NumericError: a difference is larger; names the first stage in the order of the network.
  """
  from jft_reps.models.pretrained import verification

  print(f"\n{'picture':>9}  {'stride':>6}  {'stage':5}  {'difference':>10}  {'largest':>9}  "
        f"{'relative':>8}")
  every = []
  for size, images in pictures.items():
    for stride in strides:
      rows = verification.verify(source, images, stride)
      for row in rows:
        verdict = "ok" if row.agrees(tolerance) else "DIFFERS"
        print(f"{f'{size}x{size}':>9}  {stride:6}  {row.stage}  {row.difference:10.2e}  "
              f"{row.scale:9.3g}  {row.relative:8.1e}  {verdict}", flush=True)
      every += rows
  wrong = [row for row in every if not row.agrees(tolerance)]
  if wrong:
    first = min(wrong, key=lambda row: row.stage)
    raise NumericError(
        "features-differ", source.tensors.path,
        f"{len(wrong)} of {len(every)} comparisons differ, from {first.stage} on: "
        f"{first.relative:.1e} of the largest feature at {first.size[0]}x{first.size[1]}, "
        f"stride {first.output_stride}", f"at most {tolerance:g}",
        "Do not train from it; a file that its authors' network reads otherwise is a fault here.")
  print(f"all {len(every)} comparisons within {tolerance:g} of the largest feature")
  return 0


def _recognised(source, found) -> list[str]:
  """What the file is, and every name without a partner."""
  from jft_reps.models.pretrained import matching

  pixels = source.preprocessing
  mean, std = ("/".join(f"{v:.4g}" for v in values) for values in (pixels.mean, pixels.std))
  network = ", ".join(f"{key} {value}" for key, value in source.network.items())
  lines = [
      f"{source.tensors.path}", f"  format    {source.format}", f"  network   {network}",
      f"  pixels    {pixels.channels}, less {mean}, over {std}",
      f"  backbone  {len(found.shapes) - len(found.missing)} of {len(found.shapes)} variables, "
      f"{matching.percent(found.share)} of {found.parameters:,} parameters"]
  return lines + [f"  unmatched {line}" for line in found.unmatched()]


def _numbers(flag: str, allowed, expected: str) -> list[int]:
  """The whole numbers of a list flag."""
  texts = FLAGS[flag].value
  numbers = [int(t) for t in texts if t.strip().isdecimal()]
  if len(numbers) != len(texts) or not numbers or not all(n in allowed for n in numbers):
    raise ConfigError("flags", f"--{flag}", ",".join(texts) or "empty", f"numbers, each {expected}")
  return numbers


if __name__ == "__main__":
  sys.exit(command_line.run(main))
