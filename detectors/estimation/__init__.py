"""How well a model does where the truth is not known yet, and how far to trust that.

All of it works on counts: `bins` cuts scores, `calibration` learns what a score is worth,
`classified`, `confident` and `regression` estimate, `delays` says when truths come, `trust` scores
estimates against the truth. `kinds` has what all kinds of model share.

Every model in operation with truths is watched by `running` where it is a binary classifier with
scores, and by `celled` where its answers fall into the bins of its reference; `estimates` holds
what both learned. `performance` judges whole `stretches` of predictions by a reference that was
labelled beforehand, restates them as truths come and decides with `verdict` what is harm;
`weighting` corrects it for a shift of inputs. The former is measured against it.
"""
