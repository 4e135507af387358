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

import functools
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line

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
  from jft_reps.collection.dedup import find, run
  from jft_reps.workflows import embedding

  options = find.Options(
      pixels=FLAGS.similarity, cosine=FLAGS.cosine, least_cosine=FLAGS.least_cosine,
      threads=FLAGS.processes,
      pixels_with_embedding=min(FLAGS.similarity_with_embedding, FLAGS.similarity),
      policy=None if FLAGS.turned == "auto" else FLAGS.turned)
  embed = functools.partial(embedding.embedder, FLAGS.checkpoint, FLAGS.size)
  found = run.dedup(
      FLAGS.eval, FLAGS.train, FLAGS.output, options, embed if FLAGS.checkpoint else None,
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


if __name__ == "__main__":
  sys.exit(command_line.run(main))
