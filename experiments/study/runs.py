"""How the runs of `paper.py` are described: what they start from, what they train, on what."""

from __future__ import annotations

import dataclasses

import ml_collections

from experiments.study.records import Records, contents
from experiments.study.tasks import TASKS
from jft_reps.studies.plan import Output, Plan, Run


@dataclasses.dataclass(frozen=True)
class Start:
  """Weights that something starts from; the default is random.

  Attributes:
    clean: whether trained on clean pictures, first or alone.
    pictures: with noisy labels; 0: none of them.
    depth, noise: by name, of the configuration.
    labels: `all`, `fewer` or `above`: these and the labels above them.
    third: of the pre-training after which the weights are taken, 1 to 3.
  """

  clean: bool = False
  pictures: int = 0
  depth: str = "base"
  noise: str = "standard"
  labels: str = "all"
  third: int = 3

  @property
  def random(self) -> bool:
    return not (self.clean or self.pictures)

  @property
  def name(self) -> str:
    parts = ["clean"] * self.clean + [f"noisy{self.pictures}"] * bool(self.pictures)
    parts += [self.depth] * (self.depth != "base") + [self.noise] * (self.noise != "standard")
    parts += [self.labels] * (self.labels != "all") + [f"third{self.third}"] * (self.third != 3)
    return "_".join(parts) or "random"

  def tags(self, config: ml_collections.ConfigDict) -> dict[str, object]:
    """For selections and the report."""
    kinds = ["clean"] * self.clean + ["noisy"] * bool(self.pictures)
    sizes = {"largest": max(config.pictures), "fewer": config.fewer_labels_pictures}
    return {"start": "+".join(kinds) or "random", "pictures": self.pictures, "depth": self.depth,
            "noise": self.noise, "labels": self.labels,
            "third": self.third,
            "size": [name for name, size in sizes.items() if size == self.pictures]}


class Study:
  """The plan of one seed as it grows: asking for a run adds it and all that it needs."""

  def __init__(self, config: ml_collections.ConfigDict, grown: Plan, seed: int):
    self.config, self.plan, self.seed = config, grown, seed
    self.largest = max(config.pictures)
    self.records = Records(config, grown, seed)

  def noisy(self, **changes) -> Start:
    """Pre-trained on all pictures with noisy labels."""
    return Start(**{"pictures": self.largest, **changes})

  def clean(self, **changes) -> Start:
    """Trained on clean pictures alone, as ImageNet's weights are."""
    return Start(**{"clean": True, **changes})

  def random(self) -> Start:
    """Not trained before."""
    return Start()

  def four_starts(self, task: str) -> None:
    """Adds what a table of starts compares: the paper's three, and random weights, these also with
    three times as many steps."""
    for start in (self.clean(), self.noisy(), self.noisy(clean=True), self.random()):
      self.transfer(task, start)
    self.transfer(task, self.random(), times=3)

  def _name(self, *parts: str, seed: int | None = None) -> str:
    return "_".join([*filter(None, parts), f"s{self.seed if seed is None else seed}"])

  def _reference(self, config: str, *row: str) -> str:
    return f"{config}:{','.join([*row, *(['laptop'] if self.config.laptop else [])])}"

  def _steps(self, start: Start) -> int:
    """Of pre-training; all of the paper's 36M are 4 epochs of 300M pictures."""
    if self.config.protocol == "steps":
      return self.config.steps
    return round(36e6 / 300e6 * start.pictures * self.config.epochs / 4)

  def _seconds(self, start: Start, steps: int, around: float = 20,
               task: str = "pretrain") -> float:
    """Of training on two cores, about; deeper networks take longer."""
    depths, step = self.config.depths, TASKS[task].step
    return around + step * steps * depths[start.depth] / depths["base"]

  def _schedule(self, steps: int, decay: float = 0.6) -> dict:
    """The laptop's schedule falls linearly to its end; the paper's is one of its own."""
    if not self.config.laptop:
      return {"train.steps": steps} if steps else {}
    return {"train.steps": steps, "schedule.steps": steps, "schedule.start": int(decay * steps)}

  def _checkpoints(self, steps: int) -> dict:
    """Those that are evaluated or taken over: six on a laptop, else each third."""
    if self.config.laptop:
      return {"train.checkpoint_every": max(1, steps // 6), "train.keep": 7}
    return {"train.keep_steps": [steps // 6 * 2 * third for third in (1, 2, 3)]} if steps else {}

  def pretrained(self, start: Start) -> Output | str:
    """Weights of a start; its runs are added."""
    if start.random:
      return ""
    whole = dataclasses.replace(start, third=3)
    if whole == self.clean() and not self.config.laptop:  # table 1's own random start
      return Output(self.transfer("classify", Start()), "run")
    run = self._clean(whole) if not whole.pictures else self._noisy(whole)
    if start.third == 3:
      return Output(run)
    steps = self._steps(whole)
    return Output(run, f"ckpt-{steps // 6 * 2 * start.third}")

  def _noisy(self, start: Start) -> str:
    """Pre-training on pictures with noisy labels."""
    c, seed, steps = self.config, self.seed, self._steps(start)
    if c.noise.get(start.noise) is None:
      raise ValueError(f"noise {start.noise!r}: expected one of {', '.join(c.noise)}")
    chosen = (start.pictures, start.labels != "all")
    subset = self.records.subset(*chosen)
    overrides = {
        "task.records": self.records.noisy(), "task.train_split": self.records.split(*chosen),
        "task.eval_splits": c.evaluation, "task.backbone.depth": c.depths[start.depth],
        "task.noise.wrong": c.noise[start.noise], "task.noise.seed": seed, "toy_world": {},
        "train.seed": seed, **self.records.hierarchy(), **self._checkpoints(steps),
        **contents(c.data, c.train_split, c.evaluation),
        "init.checkpoint": self.pretrained(Start(clean=True, depth=start.depth))
        if start.clean else "", **self._schedule(steps)}
    if start.labels != "all":
      file = {"fewer": "classes.txt", "above": "classes_above.txt"}[start.labels]
      overrides["task.classes"] = Output(subset[0], file)
    return self._add("pretrain", self._name("pretrain", start.name), self._reference(
        TASKS["pretrain"].config, "imagenet" if start.clean else "random"), overrides,
        start, subset, cost=self._seconds(start, steps))

  def _clean(self, start: Start) -> str:
    """Classification of clean pictures with one label each, as ImageNet's."""
    c, steps = self.config, self.config.steps
    folder, splits = c.clean.records, (c.clean.train, c.clean.dev)
    if c.laptop and not folder:
      folder = self.records.of_task("clean", TASKS["classify"].config, {
          c.clean.train: (c.clean_pictures, 2), c.clean.dev: (500, 1)})
    elif not folder:
      folder, splits = c.tasks.classify.records, (c.tasks.classify.train, c.tasks.classify.test)
    overrides = {
        "task.records": folder, "task.train_split": splits[0], "task.eval_splits": splits[1],
        "task.backbone.depth": c.depths[start.depth], "toy_world": {}, "train.seed": self.seed,
        **self._checkpoints(steps), **self._schedule(steps, 0.5), **contents(folder, *splits)}
    if c.laptop:
      overrides["schedule.initial"] = 0.2
    return self._add("pretrain", self._name("pretrain", start.name), self._reference(
        TASKS["classify"].config, "random"), overrides, start,
        cost=self._seconds(start, steps))

  def transfer(self, task: str, start: Start, frozen: bool = False, times: int = 1) -> str:
    """Adds training of a task; `times` as many steps, which the paper does not have."""
    c, t = self.config, self.config.tasks[task]
    times = times if c.laptop else 1
    row = "random" if start.random else "300M"
    parts = (task, start.name, "frozen" * frozen, "3x" * (times == 3))
    overrides = self._of_task(task, start) | self._schedule(t.steps * times, 0.5)
    overrides |= self._rates(task, parts) | {"study.test": t.test}
    if c.laptop:
      overrides["train.checkpoint_every"] = t.steps * times
    tried = max(1, len(overrides.get("study.rates", ())))
    return self._add("transfer", self._name(*parts),
                     self._reference(t.config, row, *(["frozen"] * frozen)), overrides, start,
                     task=task, frozen="frozen" if frozen else "fine-tuned", times=times,
                     cost=30 + tried * self._seconds(start, t.steps * times, 15, task))

  def _rates(self, task: str, parts: tuple[str, ...]) -> dict:
    """The first seed tries every rate on the development split, the others take what it chose."""
    t = self.config.tasks[task]
    if self.seed and len(t.rates) > 1:
      return {"study.rate_of": Output(self._name(*parts, seed=0), "numbers.json")}
    chosen = {"study.dev": t.dev, "study.number": t.number,
              "study.more_rates": self.config.more_rates} if len(t.rates) > 1 else {}
    return {"study.rates": t.rates, **chosen}

  def probe(self, start: Start) -> None:
    """Adds a linear probe of classification."""
    overrides = self._of_task("classify", start) | {
        "study.test": self.config.tasks.classify.test, "task.batch_norm": "recalibrate"}
    self._add("probe", self._name("probe", start.name), self._reference(
        self.config.tasks.classify.config, "frozen"), overrides, start, task="classify",
        frozen="frozen", times=1, cost=30)

  def _of_task(self, task: str, start: Start) -> dict:
    """Overrides of every run of a task."""
    t = self.config.tasks[task]
    records = t.records or self.records.of_task(task, t.config)
    return {"task.records": records, "task.train_split": t.train, "toy_world": {},
            "task.backbone.depth": self.config.depths[start.depth], "train.seed": self.seed,
            "init.checkpoint": self.pretrained(start),
            **contents(records, t.train, t.test, *([t.dev] if len(t.rates) > 1 else []))}

  def _add(self, kind: str, name: str, config: str, overrides: dict, start: Start,
           needs: tuple[str, ...] = (), cost: float = 0.0, **tags) -> str:
    tags = {"seed": self.seed, "task": "pretrain", **start.tags(self.config), **tags}
    return self.plan.add(Run(name, config, overrides, needs, kind, tags,
                             cost if self.config.laptop else None, 0.02)).name
