"""Published generators, each run as a program of its own in its own environment.

None of them can be installed beside visemix: they pin old libraries, and their weights come from
their authors alone. A file of this package is one program, in the terms of `description` (what it
is, where code and weights come from, which licence, its command line, what is repaired); `program`
makes a generator of it, `installation` says what is missing, `runner` runs it, `repairs` fits what
goes in and comes out. Settings of the user stand in params.yaml, section `external`.
"""
