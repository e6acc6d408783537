"""The border: what comes from outside is tried here, and everyone's model is left as it is.

`contracts` says what a flow, a generator and a classifier are, and `wrappers` makes one of a
stranger's module. `preflight` tries a small batch before anything long starts; `copies`,
`conditions` and `guard` keep the given model untouched. `inference` and `sampling` run models in
batches. The border may import `foundation` and `errors`, and no other wing.
"""
