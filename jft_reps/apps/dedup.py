"""Near-duplicates of an evaluation set inside a training set.

  python -m jft_reps.apps.dedup --eval=PICTURES --train=records:RECORDS/train --output=DIR \\
      [--checkpoint=RUN_OR_WEIGHTS]

A set is a folder of pictures, records:FOLDER/SPLIT, or an earlier index (DIR/index/train); several
with commas, whose ids differ. In --output:

  pairs.tsv            ids, bits between hashes (-1: found by embedding), correlation, how, group
  eval_duplicates.txt  ids for `evaluate --exclude_ids`: numbers on clean pictures beside all
  train_copies.txt     ids to leave out of training: `subset --leave_out_ids`
  refused.tsv          with --checkpoint: pairs that pixels join and the embedding does not
  degenerate.txt       without content: only pictures of the same pixels are their copies
  pairs.jpg            the least alike pairs; also unreadable.txt, summary.json, index/ of hashes

Found are copies that were mirrored, turned by quarters, resized, stretched, recompressed, greyed,
blurred, cropped by up to 10 % at each side, changed in brightness and contrast, or have an even
frame of 4 % or a caption of 10 %. Not, or only at times: larger, one-sided or square crops,
letterboxes, wider frames, covered corners, turns of more than 5°. Different pictures with the same
details count: look at pairs.jpg. --checkpoint's features bring candidates and refuse pairs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError, StorageError

FLAGS = flags.FlagValues()
flags.DEFINE_list("eval", None, "Evaluation set, as above.", flag_values=FLAGS)
flags.DEFINE_list("train", None, "Training set, as above.", flag_values=FLAGS)
flags.DEFINE_string("output", None, "Folder to write.", flag_values=FLAGS)
flags.DEFINE_string("checkpoint", None, "A run, a checkpoint or a weight file of a backbone.",
                    flag_values=FLAGS)
flags.DEFINE_integer("size", 0, "Side of what it embeds; 0: as it was trained, or 224.",
                     lower_bound=0, upper_bound=2048, flag_values=FLAGS)
flags.DEFINE_enum("turned", "auto", ["auto", "none", "mirror", "quarters", "any"],
                  "Copies to find beside those turned by about 5°: none, mirrored, by quarters "
                  "too, by any angle; auto: any, quarters in large sets.", flag_values=FLAGS)
flags.DEFINE_float("similarity", 0.9, "Correlation of thumbnails that makes a near-duplicate.",
                   lower_bound=0.0, upper_bound=1.0, flag_values=FLAGS)
flags.DEFINE_float("similarity_with_embedding", 0.8, "Where embeddings agree.",
                   lower_bound=0.0, upper_bound=1.0, flag_values=FLAGS)
flags.DEFINE_float("cosine", 0.9, "Of centred embeddings that agree.", lower_bound=0.0,
                   upper_bound=1.0, flag_values=FLAGS)
flags.DEFINE_float("least_cosine", 0.0, "Below which the embedding refuses a pair.",
                   lower_bound=-1.0, upper_bound=1.0, flag_values=FLAGS)
flags.DEFINE_enum("neighbours", "auto", ["auto", "exact", "usearch"], "Search of embeddings; auto: "
                  "usearch above a million training pictures, if installed.", flag_values=FLAGS)
flags.DEFINE_integer("sheet", 200, "Pairs in pairs.jpg; 0: no sheet.", lower_bound=0,
                     upper_bound=2000, flag_values=FLAGS)
flags.DEFINE_integer("processes", 2, "Processes that decode, threads that search.", lower_bound=1,
                     flag_values=FLAGS)
flags.DEFINE_boolean("overwrite", False, "Write into a folder with results.", flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  command_line.parse(FLAGS, argv, __doc__, required=("eval", "train", "output"))
  from jft_reps.data import near_duplicates

  options = near_duplicates.Options(
      pixels=FLAGS.similarity, cosine=FLAGS.cosine, least_cosine=FLAGS.least_cosine,
      threads=FLAGS.processes,
      pixels_with_embedding=min(FLAGS.similarity_with_embedding, FLAGS.similarity),
      policy=None if FLAGS.turned == "auto" else FLAGS.turned)
  found = dedup(FLAGS.eval, FLAGS.train, FLAGS.output, options, FLAGS.checkpoint, FLAGS.size,
                FLAGS.neighbours, FLAGS.sheet, FLAGS.processes, FLAGS.overwrite)
  mine, theirs = found["evaluation"], found["training"]
  print(f"{found['eval_duplicates']:,} of {mine['pictures']:,} evaluation pictures have "
        f"near-duplicates among {theirs['pictures']:,} training pictures: "
        f"{found['train_copies']:,} copies, {found['pairs']:,} pairs")
  for name, of in (("evaluation", mine), ("training", theirs)):
    if of["degenerate"] or of["unreadable"]:
      reasons = ", ".join(f"{key} {count:,}" for key, count in of["reasons"].items())
      print(f"not compared in {name}: {of['degenerate']:,} degenerate, {of['unreadable']:,} "
            f"unreadable{f' ({reasons})' if reasons else ''}")
  if FLAGS.checkpoint:
    brought, refused = found["how"].get("embedding", 0), found["refused"]
    print(f"the embedding brought {brought:,} of the pairs and refused {refused:,} others")
    if refused > found["pairs"]:
      print("WARNING: it refused more than it left. Is the checkpoint trained? See refused.tsv",
            file=sys.stderr)
  return 0


def dedup(evaluation: Sequence[str], training: Sequence[str], output: str, options=None,
          checkpoint: str | None = None, size: int = 0, neighbours: str = "auto",
          sheet: int = 200, processes: int = 1, overwrite: bool = False) -> dict:
  """Finds and lists near-duplicates; the summary.

  Args:
    evaluation: sets as the program takes them.
    training: likewise.
    output: folder to write.
    options: `near_duplicates.Options`.
    checkpoint: of the backbone that embeds; None: hashes and thumbnails alone.
    size: side of the pictures it embeds; 0: that of training, or 224.
    neighbours: `auto`, `exact` or `usearch`.
    sheet: pairs on the sheet.
    processes: that decode.
    overwrite: replace results.

  Raises:
    ConfigError: a set cannot be one.
    DataError: a set is damaged, or two pictures of a side have one id.
    StorageError: the output has results already or cannot be written, or no such checkpoint.
  """
  from jft_reps.data import duplicate_index, duplicate_report, near_duplicates

  if os.path.exists(os.path.join(output, "summary.json")) and not overwrite:
    raise StorageError("results-exist", output, "results of an earlier run", "a new folder",
                       "--overwrite replaces them.")
  embed = embedder(checkpoint, size) if checkpoint else None
  options = options or near_duplicates.Options()
  mine = _hashed(evaluation, _places(output, "eval", evaluation), processes)
  theirs = _hashed(training, _places(output, "train", training), processes)
  duplicate_index.check_ids(mine)
  duplicate_index.check_ids(theirs)
  symmetries = 2 if options.policy in ("none", "mirror") else 8
  embedding = _embedding(embed, mine, theirs, neighbours, processes, symmetries) if embed else None
  refused: list | None = [] if embed else None
  pairs = near_duplicates.find(mine, theirs, options, embedding, _counter("compared pictures"),
                               refused)
  duplicate_report.remove(output, (*evaluation, *training, *_places(output, "eval", evaluation),
                                   *_places(output, "train", training)))
  found = duplicate_report.write(output, pairs, mine, theirs, options, refused)
  if sheet and pairs:
    duplicate_report.write_sheet(output, pairs, _shown(mine), _shown(theirs), sheet)
  return found


def _places(output: str, side: str, sources: Sequence[str]) -> list[str]:
  """Folders for the indexes of a side's sources; those of sources that are indexes are empty."""
  from jft_reps.data import duplicate_index

  names = [f"{side}-{i}" if i else side for i in range(len(sources))]
  return ["" if duplicate_index.is_index(source) else os.path.join(output, "index", name)
          for source, name in zip(sources, names)]


def _hashed(sources: Sequence[str], places: Sequence[str], processes: int) -> list:
  """Parts of the indexes among the sources, and of new indexes, in `places`, of the others."""
  from jft_reps.data import duplicate_index, duplicate_sources

  parts = []
  for source, folder in zip(sources, places):
    if not folder:
      parts += duplicate_index.read(source)
      continue
    place = source if source.startswith(duplicate_sources.RECORDS) else os.path.abspath(source)
    new = duplicate_index.collect(duplicate_sources.open_pictures(place), processes,
                                  _counter(f"hashed pictures of {source}"), place)
    parts += duplicate_index.write(folder, new)
  if not any(part.ids or part.unreadable for part in parts):
    raise ConfigError("no-pictures", ",".join(sources), "no picture", "a set of pictures")
  return parts


def _shown(parts) -> Callable[[Sequence[str]], dict]:
  """Gives pictures by id; thumbnails of those whose source is gone."""
  from jft_reps.data import duplicate_report, duplicate_sources
  from jft_reps.errors import JftError

  def read(ids: Sequence[str]) -> dict:
    wanted, found = set(ids), {}
    for part in parts:
      found |= {i: part.thumbs[n] for n, i in enumerate(part.ids) if i in wanted}
    for source in dict.fromkeys(part.source for part in parts):
      try:
        found |= duplicate_report.pixels_of(duplicate_sources.open_pictures(source), ids)
      except JftError:
        pass
    return found

  return read


def embedder(checkpoint: str, size: int = 0):
  """`embed_fn` of a backbone, which averages conv5, and the side of the pictures it takes.

  Args:
    checkpoint: a run directory, a checkpoint or a weight file.
    size: that side; 0: as our checkpoint was trained, or 224.

  Raises:
    StorageError: it cannot be read.
  """
  import tensorflow as tf

  from jft_reps.models.pretrained import loading, own
  from jft_reps.training import initialise

  source = initialise.open_source(checkpoint)
  network = loading.load(source)
  if not size:
    note = source.tensors.read("preprocessing").item() if source.format == own.FORMAT else b"{}"
    size = json.loads(note).get("crop") or 224

  @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)])
  def embed(pictures):
    features = network(pictures, batch_norm="frozen", stages=("conv5",))["conv5"]
    return tf.reduce_mean(tf.cast(features, tf.float32), [1, 2])

  return lambda pictures: embed(tf.constant(pictures)).numpy(), size


def _embedding(embed, mine, theirs, neighbours: str, processes: int, symmetries: int):
  from jft_reps.data import duplicate_embedding, duplicate_sources

  many = sum(len(part.ids) for part in theirs) > duplicate_embedding.APPROXIMATE_ABOVE
  approximate = neighbours == "usearch" or (
      neighbours == "auto" and many and duplicate_embedding.installed())
  return duplicate_embedding.Embedding(
      *embed, duplicate_sources.open_pictures, mine, processes, approximate, symmetries)


def _counter(what: str, every: float = 15.0) -> Callable[[int], None]:
  """Says every few seconds how many are done, where nobody knows how many there are."""
  start = last = time.monotonic()

  def report(done: int) -> None:
    nonlocal last
    now = time.monotonic()
    if now - last >= every:
      last = now
      print(f"{done:,} {what}  {done / (now - start):.1f}/s", file=sys.stderr, flush=True)

  return report


if __name__ == "__main__":
  sys.exit(command_line.run(main))
