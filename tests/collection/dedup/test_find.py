"""Copies are found, others are not, whatever the order, the division and the damage."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from jft_reps.collection.dedup import alignment, find, index, report
from jft_reps.collection.dedup import pictures as dp
from jft_reps.collection.dedup.find import Options, Pair
from jft_reps.collection.dedup.perceptual_hash import SYMMETRIES
from jft_reps.collection.dedup.pictures import Picture
from tests.collection.dedup.duplicate_cases import LIGHT, TURNED, data, parts, scene
from tests.data import picture_files


def found(mine: dict[str, bytes], theirs: dict[str, bytes], **options) -> set[tuple[str, str]]:
  pairs = find.find(parts(mine), parts(theirs), Options(**options))
  return {(p.eval_id, p.train_id) for p in pairs}


@pytest.fixture(scope="module")
def pictures():
  return {f"{i:02d}": data(scene(i)) for i in range(12)}


@pytest.fixture(scope="module")
def copies():
  """Of picture 03 in every form, and five others."""
  edits = {**LIGHT, **TURNED}
  return {**{name: edit(scene(3)) for name, edit in edits.items()},
          **{f"other {i}": data(scene(i)) for i in range(100, 105)}}


def test_copies_are_found_and_others_are_not(pictures, copies):
  assert found(pictures, copies) == {("03", name) for name in (*LIGHT, *TURNED)}


def test_the_policy_says_which_turns_count(pictures, copies):
  by = {policy: {t for _, t in found(pictures, copies, policy=policy)} - set(LIGHT)
        for policy in ("none", "mirror", "quarters", "any")}
  assert by["none"] == {"slightly"} and by["mirror"] == {"slightly", "mirrored"}
  assert by["quarters"] == set(TURNED) - {"by 30"} and by["any"] == set(TURNED)


def test_what_is_empty_joins_nobody_and_is_listed(pictures):
  empty = {f"constant {c}": data(Image.new("RGB", (50, 60), (c, c, c))) for c in (0, 128, 255)}
  empty["1x1"] = data(Image.new("RGB", (1, 1), (9, 200, 30)), "PNG")
  empty["narrow"] = data(scene(3).resize((400, 4)))
  speck = Image.new("RGB", (200, 200), "white")
  speck.putpixel((100, 100), (0, 0, 0))
  empty["speck"] = data(speck, "PNG")
  both = {**pictures, **empty}
  assert found(both, both) == {(i, i) for i in both}  # the same pixels, and no others
  assert set(parts(both)[0].degenerate) == set(empty)


def test_pictures_without_content_count_only_if_their_pixels_are_the_same():
  faint = np.full((60, 80), 128, np.uint8)
  faint[20:40, 30:50] += 2
  mine = {"white": data(Image.new("RGB", (50, 60), "white")),
          "faint": data(Image.fromarray(faint), "PNG")}
  other = faint.copy()
  other[0, 0] += 1
  theirs = {"white bmp": data(Image.new("L", (50, 60), "white"), "BMP"),
            "larger": data(Image.new("RGB", (51, 60), "white")),
            "faint bmp": data(Image.fromarray(faint).convert("RGB"), "BMP"),
            "one pixel": data(Image.fromarray(other), "PNG")}
  assert found(mine, theirs) == {("white", "white bmp"), ("faint", "faint bmp")}
  pairs = find.find(parts(mine), parts(theirs))
  assert {(p.distance, p.similarity, p.how) for p in pairs} == {(0, 1.0, "equal")}
  many = {f"{i:03d}": mine["white"] for i in range(100)}
  assert {t for _, t in found(many, many)} == set(many)
  assert len(found(many, many)) < 1000


def letter(seed):
  """A page of one layout: a head, a coloured bar and lines of other words."""
  rng, image = np.random.default_rng(seed), Image.new("RGB", (300, 400), "white")
  draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=13)
  draw.rectangle((0, 0, 300, 60), fill=(30, 60, 140))
  draw.text((20, 18), "ACME LIMITED", "white", ImageFont.load_default(size=24))
  for y in range(90, 380, 18):
    words = " ".join("".join(map(chr, rng.integers(97, 123, n))) for n in rng.integers(2, 9, 5))
    draw.text((20, y), words[:rng.integers(10, 38)], "black", font)
  return image


def test_pages_of_one_layout_are_not_copies_but_copies_of_one_are():
  mine = {f"{i}": data(letter(i)) for i in range(12)}
  theirs = {f"{i}": data(letter(i)) for i in range(100, 112)}
  assert found(mine, theirs) == set()
  assert len(found(mine, theirs, detail=-1.0)) > 5  # the whole alone cannot tell them apart
  assert found(mine, {"copy": data(letter(3).resize((210, 280)))}) == {("3", "copy")}


def test_undecodable_files_are_counted_and_in_no_list(pictures, tmp_path):
  good = pictures["03"]
  broken = {"cut": good[:len(good) // 2], "empty": b"", "text": b"no picture",
            "path": "/nowhere.jpg",
            "bomb": picture_files.jpeg_of_claimed_size(65000, 65000),
            "png bomb": picture_files.png(60000, 60000, 8, 2, b""),
            "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"}
  theirs = parts({**broken, "good": good})
  reasons = dict(theirs[0].unreadable)
  assert set(reasons) == set(broken)
  assert reasons["bomb"] == reasons["png bomb"] == "too_many_pixels"
  assert reasons["path"] == "missing_file" and reasons["text"] == "unsupported_format"
  about = report.write(tmp_path, find.find(parts(pictures), theirs), parts(pictures),
                       theirs, Options())
  assert about["training"]["unreadable"] == len(broken) and about["training"]["pictures"] == 8
  assert (tmp_path / "train_copies.txt").read_text() == "good\n"
  assert (tmp_path / "eval_duplicates.txt").read_text() == "03\n"
  listed = (tmp_path / "unreadable.txt").read_text().splitlines()
  assert "train\tcut\tdecode_error" in listed and len(listed) == len(broken)


def test_any_order_division_and_number_of_processes_gives_the_same(pictures, copies):
  items = list({**pictures, **copies}.items())
  wanted = find.find(parts(pictures), parts(dict(items)))
  assert len(wanted) > 20
  for seed in range(5):
    random.Random(seed).shuffle(items)
    pieces = parts(dict(items), size=(1, 3, 7, 11, 100)[seed])
    assert find.find(parts(pictures, size=5), pieces,
                                Options(threads=1 + seed % 2)) == wanted
  pool = list(index.collect((Picture(*p) for p in items), processes=2))
  assert find.find(parts(pictures), pool) == wanted


def test_groups_are_what_pairs_connect():
  pairs = [Pair(e, t, 0, 1.0, "pixels") for e, t in ("ax", "ay", "by", "cz", "xa")]
  wanted = [(("a", "b"), ("x", "y")), (("c",), ("z",)), (("x",), ("a",))]
  for seed in range(5):
    random.Random(seed).shuffle(pairs)
    assert find.groups(pairs) == wanted


def test_alignment_finds_what_was_moved_and_no_more():
  one = np.asarray(scene(1, 320, 320).convert("L"), np.float32)
  small = lambda p: np.asarray(Image.fromarray(p.astype(np.uint8)).resize((64, 64), Image.BOX))
  likeness = alignment.likeness
  moved = small(one[16:, 10:])  # by 5 % and 3 %
  plain = np.corrcoef(small(one).ravel(), moved.ravel())[0, 1]
  assert plain < 0.95 < 0.98 < min(likeness(small(one), moved))
  assert likeness(small(one), 255 - small(one)).whole < 0.3
  assert likeness(small(one), moved, least=1.0).detail == -1
  assert likeness(small(one), np.zeros((64, 64), np.uint8)) == (-1, -1)
  for s in SYMMETRIES:
    assert likeness(small(one), s.of_pixels(small(one)), (0, 0), s) == (1, 1)


def truth_pairs(folder, names):
  """Pairs found inside of a folder, and those that share one of the groups of `names`."""
  both = list(index.collect(dp.folder(folder)))
  pairs = {(p.eval_id, p.train_id) for p in find.find(both, both)}
  return pairs, {(a, b) for group in names for a in group for b in group}, both


def test_pdq_bridge(shared_data):
  truth = json.loads((shared_data / "neardup/truth_pdq_bridge.json").read_text())
  bridge = [i for key, names in truth.items() if key.startswith("same") for i in names]
  pairs, wanted, both = truth_pairs(shared_data / "neardup/pdq_bridge", [bridge])
  degenerate = set(both[0].degenerate)
  assert {"misc-images/small.jpg"} <= degenerate <= set(truth["unrelated"])
  assert pairs == wanted | {(i, i) for i in truth["unrelated"]}


def test_ukbench(shared_data):
  truth = json.loads((shared_data / "neardup/truth_imagededup.json").read_text())
  one = ["mixed_images/ukbench00120.jpg", "base_images/ukbench00120.jpg", "ukbench00120_gray.jpg",
         *(f"mixed_images/{i}" for i in truth["mixed_images"]["duplicates_of_ukbench00120"])]
  formats = ["base_images/ukbench09380.jpg",
             *(f"formats_images/ukbench09380.{i}" for i in ("jpeg", "png", "bmp", "webp"))]
  twice = ["base_images/ukbench09268.jpg", "mixed_images/ukbench09268.jpg"]
  pairs, wanted, both = truth_pairs(
      shared_data / "neardup/imagededup_ukbench", [one, formats, twice])
  assert wanted <= pairs
  others = {(a, b) for a, b in pairs - wanted if a != b}
  # A cut-out of the first picture with transparency, of which the truth file says nothing.
  assert all("alpha_channel_image.png" in pair for pair in others)
  assert both[0].unreadable == [(f"mixed_images/{truth['mixed_images']['unreadable']}",
                                 "unsupported_format")]


def test_recall_and_precision_on_edited_pictures(shared_data, tmp_path):
  recipe = shared_data / "neardup/make_neardups.py"
  subprocess.run([sys.executable, recipe, tmp_path, "--bases=16", "--distractors=60", "--seed=77"],
                 check=True)
  truth = json.loads((tmp_path / "truth.json").read_text())["truth"]
  wanted = {(t["of"], name) for name, t in truth.items() if t["of"]}
  mine, theirs = (list(index.collect(dp.folder(tmp_path / side)))
                  for side in ("eval", "train"))
  pairs = {(p.eval_id, p.train_id) for p in find.find(mine, theirs)}
  assert len(wanted) == 8 * 19 and pairs <= wanted and len(pairs) >= 0.97 * len(wanted)
  # Which of the two was edited makes no difference.
  turned = {(p.train_id, p.eval_id) for p in find.find(theirs, mine)}
  assert turned <= wanted and len(turned) >= 0.95 * len(wanted)


def test_the_sheet_counts_what_it_leaves_out(pictures, copies, tmp_path):
  pairs = find.find(parts(pictures), parts(copies))
  both = {**pictures, **copies}
  given = lambda ids: report.pixels_of((Picture(i, both[i]) for i in both), ids)
  assert given(["03"])["03"].shape == (120, 160, 3) and not given(["nobody"])
  report.write_sheet(tmp_path, pairs, given, given, most=5)
  with Image.open(tmp_path / "pairs.jpg") as sheet:
    assert sheet.width > 8 * 128 and sheet.height > 2 * 128
