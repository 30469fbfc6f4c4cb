"""The names of all generators, and the module of each, imported only when it is used.

A file of its own, which imports nothing: code that looks a generator up does not depend on the
parameters of any of them.
"""

# published ones, programs that the user installs
PROGRAMS = (
    "aniportrait",
    "wav2lip",
    "wav2lip-gan",
    "talklip",
    "sadtalker",
    "latentsync",
    "musetalk",
    "echomimic",
)
PREFIX = "external-"
EXTERNAL = {
    PREFIX + name: f"visemix.generators.external.{name.replace('-', '_')}" for name in PROGRAMS
}
GENERATORS = {
    "portrait": "visemix.generators.portrait",
    "viseme": "visemix.generators.viseme",
    **EXTERNAL,
    "wav2lip": "visemix.generators.wav2lip",
    "wav2lip-gan": "visemix.generators.wav2lip.gan",
    "aniportrait-small": "visemix.generators.aniportrait_small",
    "lam": "visemix.generators.lam",
    "lam-v": "visemix.generators.lam.v",
    "lam-l": "visemix.generators.lam.l",
    "lam-vl": "visemix.generators.lam.vl",
}
