"""What the pages of a report call things, and where a study is another than the paper's.

A name is the paper's alone only where a configuration has the paper's size; else it says in
brackets what stands for it, so that nobody takes a number of it for one of the paper.
"""

from __future__ import annotations

import os

import ml_collections

# The paper's sizes: of JFT-300M, of ImageNet, and of its pre-training in steps.
_NOISY, _CLEAN, _STEPS = 300_000_000, 1_281_167, 36_000_000
_NETWORKS = {"base": "ResNet-101", "shallow": "ResNet-50", "deep": "ResNet-152"}
_PARTS = {1: "a third", 2: "two thirds", 3: "all"}


class Names:
  """Names of the arms of a configuration, and sentences about it.

  Args:
    config: of `paper.py`.

  Attributes:
    config: the same.
    clean, noisy, both, random: what the starts are called.
    longer, noisy_longer: random and noisy with three times the steps of a task.
  """

  def __init__(self, config: ml_collections.ConfigDict):
    self.config, self._largest = config, max(config.pictures)
    self._kind = "own" if config.data else "noisy"
    paper = not config.laptop
    clean = "own" if config.clean.records else (
        "" if paper and config.clean_pictures == _CLEAN else f"{config.clean_pictures:,} clean")
    noisy = "" if paper and self._largest == _NOISY else f"{self._largest:,} {self._kind}"
    self.clean, self.noisy = _bracketed("ImageNet", clean), _bracketed("300M", noisy)
    self.both = _bracketed("ImageNet+300M", f"clean, then {self._kind}" if clean and noisy else
                           (clean or noisy) and f"{clean or 'ImageNet'}, then {noisy or '300M'}")
    self.random = "random"
    self.longer, self.noisy_longer = (f"{start}, 3× steps" for start in (self.random, self.noisy))

  @property
  def rows(self) -> dict[str, str]:
    """Name of each row of the paper's tables of starts."""
    return {"ImageNet": self.clean, "300M": self.noisy, "ImageNet+300M": self.both,
            "random": self.random}

  @property
  def steps(self) -> int:
    """Of pre-training on all pictures with noisy labels."""
    if self.config.protocol == "steps":
      return self.config.steps or _STEPS
    return round(_STEPS / _NOISY * self._largest * self.config.epochs / 4)

  def moment(self, third: int) -> str:
    """A pre-training after some thirds of its steps."""
    paper = self._largest == _NOISY and self.steps == _STEPS
    return _bracketed(f"{12 * third}M", "" if paper else f"{_PARTS[third]} of the steps")

  def depth(self, name: str) -> str:
    layers = self.config.depths[name]
    return f"{layers} layers" if self.config.laptop else f"ResNet-{layers}"

  def noise(self, name: str) -> str:
    share = self.config.noise[name]
    if self.config.data:  # whose labels are wrong as it is
      return f"{_percent(share)} more made wrong" if share else "labels as they are"
    return f"{_percent(share)} wrong" if share else "none wrong"

  def world(self, noise: bool = True) -> list[str]:
    """What stands for what; without `noise` it does not say how many labels are wrong."""
    c, wrong = self.config, self.config.noise.get("standard", 0.0) if noise else 0.0
    pictures = f"{self._largest:,} {'own' if c.data else 'generated'} pictures"
    if not c.laptop:
      same = self._largest == _NOISY
      return [*([] if same else [f"{pictures} stand for JFT-300M."]), *self._shared()]
    labels = (f" with {_percent(wrong)} of their labels made wrong" if c.data and wrong else
              "" if c.data else " with labels of which some are missing, some coarse and "
              f"{_percent(wrong) if noise else 'some'} wrong")
    clean = "own ones" if c.clean.records else (
        f"{c.clean_pictures:,} generated clean ones with one label")
    return [f"In miniature: {pictures}{labels} stand for JFT-300M, {clean} for ImageNet, "
            f"{c.depths.base} layers an eighth as wide for ResNet-101.", *self._shared()]

  def _shared(self) -> list[str]:
    """What seeds have in common that a generated world has for each."""
    return ["All seeds share the own pictures, their subsets and what they are evaluated on, so an "
            "interval says nothing of another choice of these."] if (
                self.config.data and self.config.seeds > 1) else []

  def deeper(self) -> list[str]:
    """What stands for the other networks."""
    said = [f"Nothing stands for {network}." if name not in self.config.depths else
            f"{self.depth(name)} stand for {network}." for name, network in _NETWORKS.items()
            if name != "base"]
    return [s for s in said if self.config.laptop or s.startswith("Nothing")]

  def task(self, name: str) -> list[str]:
    """How a task is trained, and on what."""
    task = self.config.tasks[name]
    rates = len(task.rates)
    found = [] if not rates else [
        f"Each start has the best of {rates} rates{self._more()}, by a development split of the "
        "first seed, a choice that no interval takes into account; another seed at which it "
        "diverges takes the next lower one."
        if rates > 1 else f"All starts are trained at rate {task.rates[0]:g}; no other was tried."]
    if self.config.laptop:
      unseen = "" if self.config.data else ", of shapes and textures that no pre-training showed"
      same = ", the same for all seeds" if self.config.seeds > 1 else ""
      found.append(f"The task's pictures are own ones{same}." if task.records else
                   f"The task's pictures are generated{unseen}.")
    return found

  def _more(self) -> str:
    """How many rates are tried beyond those of a task."""
    more = self.config.more_rates
    return f", and of up to {more} beyond while the lowest or the highest is best" if more else ""

  def budgets(self) -> str:
    """Who was pre-trained for how long: both together have the steps of both."""
    clean = f"{self.config.steps:,}" if self.config.steps else "all"
    return (f"ImageNet+300M has the steps of both pre-trainings: {clean} of ImageNet's and then "
            f"{self.steps:,} of 300M's; ImageNet and 300M have their own alone.")

  def length(self) -> list[str]:
    """How long pre-training is, where it is not as long as the paper's."""
    return [] if self.steps == _STEPS else [
        f"Pre-training on all pictures has {self.steps:,} steps in place of 36M."]

  def protocol(self) -> str:
    """How long the pictures of each size are trained."""
    if self.config.protocol == "steps":
      return (f"every size is pre-trained for {self.steps:,} steps, so a smaller set is seen more "
              "often")
    return (f"every size is pre-trained for about {self.config.epochs} epochs, so a smaller set is "
            f"trained for fewer steps; the largest has {self.steps:,}")

  def sizes(self) -> list[str]:
    """Where the protocol of a page of sizes is another than the paper's."""
    told = "Remembered of the paper, not verified: it trains four epochs of each size."
    return [] if self.config.protocol == "epochs" and self.config.epochs == 4 else [told]

  def labels(self) -> dict[str, str]:
    """The arms of table 5."""
    above = {"above": "1K and the labels above them"} if has_labels_above(self.config) else {}
    return {"fewer": f"1K ({os.path.basename(self.config.fewer_labels) or 'every third leaf'})",
            **above, "all": "18K (all)"}

  def fewer(self) -> str:
    """What table 5 compares."""
    own = os.path.basename(self.config.fewer_labels)
    labels = (f"the labels of {own}" if own else
              "every third leaf of the hierarchy, not the labels that ImageNet has too")
    above = ("; the paper has none with the labels above them, which see the same pictures as 1K"
             if has_labels_above(self.config) else "")
    return (f"1K is {labels}; 18K is all classes. Each has {self.config.fewer_labels_pictures:,} "
            f"pictures{above}.")


def has_labels_above(config: ml_collections.ConfigDict) -> bool:
  """Whether table 5 has an arm that the paper has not: fewer labels and those above them."""
  return config.laptop and bool(config.hierarchy or not config.data)


def _bracketed(name: str, what: str) -> str:
  return f"{name} ({what})" if what else name


def _percent(share: float) -> str:
  return f"{100 * share:.3g} %"
