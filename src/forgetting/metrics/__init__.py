"""Measures of forgetting: numbers from tensors, with their intervals.

`prevalence`, `likelihood` and `locality` measure what changed, `fidelity` how good samples are,
`calibration` and `identity` how far a classifier and an embedding can be trusted. A metric takes
tensors and functions and depends on no model's name. This wing may import `adapters`, `inference`,
`cache` and `errors`, and no other wing.
"""
