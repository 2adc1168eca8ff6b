"""How well a model does where the truth is not known yet, and how far to trust that.

All of it works on counts by score: `bins` cuts scores, `calibration` learns what a score is worth,
`classified`, `multiclass` and `regression` estimate, `weighting` corrects for a shift of inputs,
`delays` says when truths come, `stretches` hold what is known so far, `trust` scores estimates
against the truth, and `verdict` decides what is harm. `kinds` has what all kinds of model share.
`performance` is what a monitor calls, and `told` what it makes of it; `running` is the lighter
watch that every model in operation with truths and scores is given.
"""
