"""The study's questions: which model, data, classifiers and references belong to one of them.

What two templates do alike is a function here, with a test; it returns numbers and images, and
draws nothing. The modules compose methods, probes, metrics and the zoo, and import nothing of
`book`.
"""
