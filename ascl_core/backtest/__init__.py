"""A backtest: what a change of the rules would have done to recorded traffic, before anything is trained.

`traffic` reads the requests, `redaction` removes personal data, `look_ups` compares what is found, `replay` asks the model, and
`summary` counts.
"""
