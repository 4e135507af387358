"""Studies from Python: a plan of runs, made on this machine, and the report of what came out.

    from jft_reps.workflows.study import plans, reporting, sitting

    chosen = plans.select("experiments/paper.py:fig4_data_size,laptop")
    state = sitting.run(chosen.plan, "STUDY", source=chosen.source, whole=chosen.whole)
    print(state.counts())
    report = reporting.report(["STUDY"])
    for section in report.sections:
      print(section.title, *section.sentences, sep="\\n  ")

Run it again after an interruption: what is done is kept. A plan of your own needs no file: see
`studies.plan.Plan`, and `docs/study_your_own_data.ipynb`, which makes one in ten lines. How far a
study is, from any process: `studies.running.progress.status("STUDY")`.

`kinds` says what each kind of run does; `jobs` and `collect` are for clusters.
"""
