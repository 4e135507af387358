"""Near-duplicates of an evaluation set inside a training set.

Candidates are pictures with hashes a few bits apart (`perceptual_hash`, `hash_search`) and, with an
embedding, its nearest neighbours. A candidate counts if the aligned thumbnails correlate, as a
whole and in their details (`alignment`); they may correlate less as a whole where the
embedding agrees, and it refuses pairs that it finds to have nothing in common. Pictures in which
nothing can be compared count if their pixels are the same.

Found are, at the default settings, copies that were mirrored, turned by quarters, resized,
stretched, recompressed, cropped by up to 10 % at each side, greyed, blurred, changed in brightness
and contrast, or have a frame or a caption of a few percent. Not found, or only at times, are crops
of more or from one side alone, letterboxes and wide frames, pictures with a part covered, and those
turned by other angles than up to 5° from a quarter. Different pictures with the same details
still count: of one drawn symbol, or a form with one line filled in another way. The evaluation
picture stays, the training copy goes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jft_reps.collection.dedup import alignment, candidates, hash_search, index, perceptual_hash
from jft_reps.collection.dedup.candidates import Candidates, Searched
from jft_reps.collection.dedup.embedding import Embedding
from jft_reps.collection.dedup.index import Part

# Pairs of pictures up to which a copy at any angle is looked for, which takes four times as long.
ANY_ANGLE = 10**10
_TOGETHER = 1_000_000  # training pictures


@dataclasses.dataclass(frozen=True)
class Options:
  """What counts as a near-duplicate.

  Attributes:
    radius: bits in which hashes of candidates differ at most.
    pixels: correlation of aligned thumbnails from which a candidate is a near-duplicate.
    detail: the same of their details, for every near-duplicate.
    pixels_with_embedding: `pixels` of a candidate by hash, where the embedding agrees.
    cosine: of centred embeddings, from which they agree.
    least_cosine: below which the embedding refuses a pair that is not the same pixel by pixel.
    neighbours: evaluation pictures nearest to a training picture that are candidates for it.
    policy: of `perceptual_hash.POLICIES`: how a copy may have been turned. None: by any angle, or
      where there are more than `ANY_ANGLE` pairs of pictures, by quarters and about 5°.
    threads: that search.
  """

  radius: int = hash_search.RADIUS
  pixels: float = 0.9
  detail: float = 0.95
  pixels_with_embedding: float = 0.8
  cosine: float = 0.9
  least_cosine: float = 0.0
  neighbours: int = 3
  policy: str | None = None
  threads: int = 2


class Pair(NamedTuple):
  """An evaluation picture and a training picture that show one picture.

  Attributes:
    eval_id: the one that stays.
    train_id: the copy to remove.
    distance: bits in which their closest hashes differ; -1 where only the embedding brought them
      together.
    similarity: correlation of the aligned thumbnails.
    how: `pixels`, `embedding` where those alone would not have been enough, `equal` for pictures
      without content that have the same pixels, or `refused` by the embedding.
  """

  eval_id: str
  train_id: str
  distance: int
  similarity: float
  how: str


def find(evaluation: Sequence[Part], training: Sequence[Part], options: Options | None = None,
         embedding: Embedding | None = None, progress: Callable[[int], None] = lambda done: None,
         refused: list[Pair] | None = None) -> list[Pair]:
  """All pairs, sorted; the same for any order of the pictures and any division into parts.

  Args:
    evaluation: parts of the evaluation set, all held.
    training: parts of the training set; may be memory maps.
    options: what counts.
    embedding: of the same evaluation set.
    progress: called with the number of training pictures done.
    refused: takes the pairs that the embedding refuses.
  """
  options, mine, done = options or Options(), index.joined(evaluation), 0
  policy = options.policy
  if policy is None:
    every = len(mine.ids) * sum(len(part.ids) for part in training) <= ANY_ANGLE
    policy = "any" if every else "quarters"
    options = dataclasses.replace(options, policy=policy)
  searched = Searched(mine.hashes, policy)
  pairs: set[Pair] = set()
  for part, found in _found(searched, training, options):
    vectors = embedding.of_part(part) if embedding else None
    cosine = (lambda e, t, v=vectors: embedding.cosine(e, v[t])) if embedding else None
    same = candidates.equal(mine.digests, np.asarray(part.digests))
    accepted = {pair: (0, 1.0, "equal") for pair in same}
    for e, t, distance, similarity, how in _either_way(mine, part, found, policy, options,
                                                         cosine):
      accepted.setdefault((e, t), (distance, similarity, how))
    if embedding and vectors is not None:
      near = embedding.nearest(vectors, options.neighbours, options.cosine)
      for e, t, distance, similarity, how in _by_embedding(mine, part, near, policy, options,
                                                           accepted):
        accepted[e, t] = distance, similarity, how
    pairs.update(Pair(mine.ids[e], part.ids[t], *rest) for (e, t), rest in accepted.items())
    done += len(part.ids)
    progress(done)
  if refused is not None:
    refused += sorted(p for p in pairs if p.how == "refused")
  return sorted(p for p in pairs if p.how != "refused")


def _found(searched: Searched, training: Sequence[Part], options: Options
           ) -> Iterator[tuple[Part, Candidates]]:
  """Each part with its candidates; many parts are searched at once, for a bucket looked into costs
  the same whatever it holds."""
  together = max(1, _TOGETHER // max(1, max((len(p.ids) for p in training), default=1)))
  for first in range(0, len(training), together):
    parts = training[first:first + together]
    hashes = np.concatenate([part.hashes for part in parts])
    every, start = searched.among(hashes, options.radius, options.threads), 0
    for part in parts:
      mine = (every.train_index >= start) & (every.train_index < start + len(part.ids))
      some = Candidates(*(column[mine] for column in every))
      yield part, some._replace(train_index=some.train_index - start)
      start += len(part.ids)


def _either_way(mine: Part, part: Part, found: Candidates, policy: str, options: Options,
                cosine: Callable[[int, int], float] | None
                ) -> list[tuple[int, int, int, float, str]]:
  """Pairs by hash; a pair may come twice, the closer one first.

  Only the first side is turned by every angle, with the aspect it now has. Where angles count, each
  side is the first one in turn, because a stretched copy has lost the aspect it was turned in.
  """
  pairs = [*_by_hash(mine, part, found, policy, options, cosine)]
  if policy == "any":
    turned = Searched(part.hashes, policy).among(mine.hashes, options.radius, options.threads)
    other = _by_hash(part, mine, turned, policy, options,
                     cosine and (lambda t, e: cosine(e, t)))
    pairs += [(e, t, distance, similarity, how) for t, e, distance, similarity, how in other]
  return sorted(pairs)


def _by_hash(turned: Part, upright: Part, found: Candidates, policy: str, options: Options,
             cosine: Callable[[int, int], float] | None
             ) -> Iterator[tuple[int, int, int, float, str]]:
  """Candidates that count: index of the turned side, of the other, distance, similarity, how."""
  symmetries = perceptual_hash.POLICIES[policy].symmetries
  for one, other, distance, *views, symmetry in zip(*(column.tolist() for column in found)):
    alike = alignment.likeness(
        turned.thumbs[one], upright.thumbs[other], tuple(views), symmetries[symmetry],
        float(turned.aspects[one]), options.pixels_with_embedding if cosine else options.pixels)
    how = _judged(alike, options, cosine and cosine(one, other)) if (
        alike.detail >= options.detail) else ""
    if how:
      yield one, other, distance, round(alike.whole, 4), how


def _judged(alike: alignment.Likeness, options: Options, cosine: float | None) -> str:
  """How a pair whose details agree counts; empty if it does not."""
  if alike.whole >= options.pixels:
    refused = cosine is not None and cosine < options.least_cosine and min(alike) < 1
    return "refused" if refused else "pixels"
  agrees = alike.whole >= options.pixels_with_embedding and (cosine or 0) >= options.cosine
  return "embedding" if agrees else ""


def _by_embedding(mine: Part, part: Part, near: Iterable[tuple[int, int, float]], policy: str,
                  options: Options, known: Mapping[tuple[int, int], Any]
                  ) -> Iterator[tuple[int, int, int, float, str]]:
  """Neighbours that the hashes did not bring together, upright or mirrored as the policy allows."""
  symmetries = perceptual_hash.POLICIES[policy].symmetries[:2]
  for e, t, _ in near:
    if (e, t) in known:
      continue
    alike = max(alignment.likeness(mine.thumbs[e], part.thumbs[t], views, symmetry)
                for symmetry in symmetries for views in ((0, 0), (2, 2)))
    if alike.whole >= options.pixels and alike.detail >= options.detail:
      yield e, t, -1, round(alike.whole, 4), "embedding"


def groups(pairs: Iterable[Pair]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
  """Pictures that pairs connect: sorted evaluation ids and training ids of each group, in order."""
  parent: dict[tuple[int, str], tuple[int, str]] = {}

  def root(node: tuple[int, str]) -> tuple[int, str]:
    parent.setdefault(node, node)
    while parent[node] != node:
      parent[node] = parent[parent[node]]
      node = parent[node]
    return node

  for pair in pairs:
    one, other = root((0, pair.eval_id)), root((1, pair.train_id))
    parent[max(one, other)] = min(one, other)
  members: dict[tuple[int, str], list[tuple[int, str]]] = {}
  for node in sorted(parent):
    members.setdefault(root(node), []).append(node)
  return [(tuple(i for side, i in group if side == 0), tuple(i for side, i in group if side == 1))
          for _, group in sorted(members.items())]
