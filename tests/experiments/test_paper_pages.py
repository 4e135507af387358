"""The pages of the paper's study say what its configuration is."""

from __future__ import annotations

import pytest

from experiments import paper
from jft_reps.studies.report import sections
from jft_reps.workflows import configuration
from jft_reps.workflows.study import plans, reporting

_CITED = {"checkpoint of He et al.", "He et al.", "Inception ResNet", "CMU"}  # which nobody trains
_OWN = {"data": "/own", "protocol": "epochs", "epochs": "8", "pictures": "1000,50000",
        "tasks.detect.records": "/boxes"}


def _pages(reference, overrides=None):
  found = reporting.load_pages(f"experiments/paper.py:{reference}", overrides)
  sections.check(found)
  return {page.name: page for page in found}


def _words(pages):
  return " ".join(text for page in pages.values() for text in (
      *page.arms, page.protocol, *page.deviations))


def test_a_generated_world_is_never_named_by_the_papers_names_alone():
  pages = _pages("miniature")
  for name in ("table2_coco", "fig6_segmentation", "table6_pose"):
    assert list(pages[name].arms)[:5] == [
        "ImageNet (2,500 clean)", "300M (10,000 noisy)", "ImageNet+300M (clean, then noisy)",
        "random", "random, 3× steps"]
    assert ("ImageNet (2,500 clean)", "random") in pages[name].pairs
    assert "4,000 of ImageNet's and then 4,000 of 300M's" in " ".join(pages[name].deviations)
  assert ("300M (10,000 noisy), 3× steps", "random, 3× steps") in pages["table6_pose"].pairs
  assert list(pages["table4_epochs"].arms)[0] == "12M (a third of the steps)"
  assert pages["fig5_capacity"].interactions == ((
      ("300M (10,000 noisy), 26 layers", "ImageNet (2,500 clean), 26 layers"),
      ("300M (10,000 noisy), 14 layers", "ImageNet (2,500 clean), 14 layers")),)
  assert set(pages["fig5_capacity"].metrics.values()) == {"AP50", "AP"}
  assert all("10,000 generated pictures" in page.deviations[0] for page in pages.values())
  assert "pre-trained for 4,000 steps" in pages["fig4_data_size"].protocol
  assert "best of 3 rates" in _words(pages) and "no other was tried" in _words(_pages("laptop"))


def test_full_size_has_the_papers_names_and_no_word_of_the_miniature():
  pages = _pages("full")
  assert list(pages["table2_coco"].arms)[:3] == ["ImageNet", "300M", "ImageNet+300M"]
  assert list(pages["table4_epochs"].arms) == ["12M", "24M", "36M"]
  assert "300M, ResNet-152" in pages["fig5_capacity"].arms and "noise" not in pages
  assert "about 4 epochs" in pages["fig4_data_size"].protocol
  for word in ("generated", "miniature", "layers", "10,000 ", "3,200", "same number of steps",
               "four epochs"):
    assert word not in _words(pages), word


def test_own_data_is_told_from_the_generated():
  pages, words = _pages("laptop", _OWN), _words(_pages("laptop", _OWN))
  assert "50,000 own pictures stand for JFT-300M, 2,500 generated clean ones" in words
  assert "10,000" not in words and "labels made wrong" not in words and "about 8 epochs" in words
  wrong = _words(_pages("laptop", {**_OWN, "noise.standard": "0.3"}))
  assert "50,000 own pictures with 30 % of their labels made wrong stand for JFT-300M" in wrong
  assert "four epochs" in words
  assert "The task's pictures are own ones." in pages["table2_coco"].deviations
  assert "The task's pictures are generated." in pages["table6_pose"].deviations


def test_labels_of_own_pictures_are_not_called_right_and_their_choice_is_in_no_interval():
  pages = _pages("laptop", {**_OWN, "seeds": "5"})
  assert list(pages["noise"].arms) == ["labels as they are", "50 % more made wrong"]
  assert list(_pages("laptop", {**_OWN, "noise.standard": "0.1"})["noise"].arms) == [
      "10 % more made wrong", "50 % more made wrong"]
  told = "All seeds share the own pictures"
  assert told in " ".join(pages["fig4_fasteval"].deviations)
  assert "own ones, the same for all seeds" in " ".join(pages["table2_coco"].deviations)
  assert told not in _words(_pages("laptop", _OWN)) and told not in _words(_pages("miniature"))
  assert told not in _words(_pages("full"))


def test_arms_say_what_stands_for_a_part_of_the_papers():
  both = lambda **values: list(_pages("full", {
      "fewer_labels_pictures": "1000000", **values})["table2_coco"].arms)[2]
  assert both(pictures="1000000,9000000") == "ImageNet+300M (ImageNet, then 9,000,000 own)"
  assert both(clean_pictures="5000") == "ImageNet+300M (5,000 clean, then 300M)"
  given = _pages("full", {"fewer_labels": "/data/imagenet941.txt"})["table5_classes"]
  assert list(given.arms) == ["1K (imagenet941.txt)", "18K (all)"]
  assert {number.row for number in given.paper} == set(given.arms)
  assert list(_pages("laptop")["table5_classes"].arms)[1] == "1K and the labels above them"
  assert len(_pages("laptop", _OWN)["table5_classes"].arms) == 2  # which have no hierarchy


@pytest.mark.parametrize("size", paper.SIZES)
def test_numbers_of_the_paper_stand_in_rows_and_arms_have_runs(size):
  pages, plan = _pages(size), plans.read_plan(f"experiments/paper.py:{size}")[0]
  for page in pages.values():
    if not page.x and page.name != "fig5_capacity":
      assert {number.row for number in page.paper} - _CITED <= set(page.arms)
    for arm, tags in page.arms.items():
      longer = arm.endswith("3× steps")  # which the paper does not have
      assert any(run.matches(tags) for run in plan) or (size == "full" and longer)
  pose = {(n.row.split(" ")[0], n.metric): n.mark for n in pages["table6_pose"].paper}
  assert [k for k, mark in pose.items() if mark == "found"] == [
      ("ImageNet", "AP"), ("ImageNet", "AP50"), ("CMU", "AP"), ("CMU", "AP50")]
  assert pages["table2_coco"].paper and pages["table1_imagenet"].paper


@pytest.mark.parametrize("reference, overrides", [
    ("laptop", {}), ("laptop", {"protocol": "epochs", "epochs": "2", "pictures": "1000,50000"}),
    ("full", {}),
    ("full", {"pictures": "1000,50000", "fewer_labels_pictures": "1000"})])
def test_the_steps_it_says_are_those_of_the_plan(reference, overrides):
  plan, _, config = plans.read_plan(f"experiments/paper.py:{reference}", overrides)
  steps = {run.overrides["train.steps"] for run in plan if run.kind == "pretrain"
           and run.matches({"start": "noisy", "size": "largest"})}
  (told,) = steps
  assert f"{told:,}" in _pages(reference, overrides)["table2_coco"].deviations[-2]


def test_pages_need_no_study():
  config, module = configuration.read_config("experiments/paper.py:noise,laptop")
  assert len(module.pages(config)) == 14
