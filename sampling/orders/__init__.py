"""What rows are ordered and judged by, beyond the six products: scores of the whole task, and their blends.

names         every score by name
blends        sums of z-scores and rank fusion
cuts          thresholds found in a class's own scores: quantiles, a mixture
margins       the own class less the best other one
shot_probe    the posterior of a probe on the shots
fit           how well a row fits its class by everything there is
doubt         which rows an answer says most about
cleaning      what a probe fitted on other rows says
diversity     which of the best rows make the sample
task_scores   the scores that look at the whole task, for every pool
"""
