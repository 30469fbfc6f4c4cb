"""The layout of the package: a room imports only rooms of lower floors, no file is in a circle."""

import ast
import subprocess
import sys
from collections import Counter, defaultdict
from importlib.util import resolve_name

from tests.helpers.workflow import REPOSITORY

PACKAGE = REPOSITORY / "src" / "visemix"
FLOORS = {
    0: ("config", "run"),
    1: ("papers", "media", "visemes", "text", "clips"),
    2: ("heads", "faces"),
    3: ("corpora", "models", "pose"),
    4: ("training", "decoding"),
    5: ("evaluation", "generators"),
    6: ("synthesis",),
    7: ("tables",),
    8: ("report", "audit", "tracking", "plan", "record"),
    9: ("cli",),
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
LIGHT, HEAVY = ("config", "papers", "run"), ("torch", "mlflow", "numba")
# What files are called that play the same part in several rooms or generators. A section of config
# and a page of report are named after what they are about, which has a room of its own.
PARTS = {"__init__.py", "batches.py", "measures.py", "model.py", "settings.py", "training.py"}
# What is still to be moved or renamed. Lines only leave this list.
KNOWN = {
    # what asks for a GPU or for other processes, late or only where torch is there already
    "run/data_parallel.py imports torch",
    "run/gpus.py imports torch",
    "run/provenance.py imports torch",
    # two files of one name, each plain in its own room
    "clip.py: corpora/miniature/clip.py, pose/clip.py",
    "launch.py: generators/external/launch.py, training/launch.py",
    "renderer.py: generators/aniportrait_small/renderer.py, heads/renderer.py",
    "sentences.py: corpora/miniature/sentences.py, corpora/sentences.py",
    "words.py: corpora/words.py, training/words.py",
}
FILES = sorted(PACKAGE.rglob("*.py"))


def named(file):
    """Where a file lies in the package, e.g. 'clips/mixture.py'."""
    return str(file.relative_to(PACKAGE))


def room_of(file):
    """'clips' of clips/mixture.py, 'media' of media.py."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(file):
    """Absolute names that a file imports anywhere in it, also within functions."""
    own = ".".join(file.parent.relative_to(PACKAGE.parent).parts)
    for node in ast.walk(ast.parse(file.read_text(), file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = resolve_name("." * node.level + (node.module or ""), own)
            yield from (f"{start}.{alias.name}" for alias in node.names)


def module_file(name):
    """The file of the package that an imported name comes from, or None."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return None
    for depth in (len(parts), len(parts) - 1):
        path = PACKAGE.parent.joinpath(*parts[:depth])
        if (path / "__init__.py").is_file():
            return path / "__init__.py"
        if path.with_name(f"{path.name}.py").is_file():
            return path.with_name(f"{path.name}.py")
    raise AssertionError(f"no module of the package: {name}")


USED = {file: {used for name in imports(file) if (used := module_file(name))} for file in FILES}


def reached(file):
    """All files that importing a file leads to."""
    found, ahead = set(), [file]
    while ahead:
        new = USED[ahead.pop()] - found
        found |= new
        ahead += new
    return found


def test_every_file_is_in_a_room_that_has_a_floor():
    assert {room_of(file) for file in FILES} - {"__init__"} <= FLOOR.keys()


def test_a_room_imports_only_rooms_of_lower_floors():
    wrong = {
        f"{named(file)} ({FLOOR[room]}) imports {named(used)} ({FLOOR[other]})"
        for file, found in USED.items()
        for used in found
        if (room := room_of(file)) != (other := room_of(used)) and FLOOR[other] >= FLOOR[room]
    }
    assert wrong - KNOWN == set()


def test_no_file_is_in_a_circle_of_imports():
    circles = {f"{named(file)} is in a circle" for file in FILES if file in reached(file)}
    assert circles - KNOWN == set()


def heavy(file):
    """What a file would load that takes seconds, as in KNOWN."""
    libraries = {name.split(".")[0] for name in imports(file)}.intersection(HEAVY)
    return {f"{named(file)} imports {library}" for library in libraries}


def test_light_rooms_import_no_heavy_library():
    """Not even late: what needs one is a matter of a higher floor."""
    found = set().union(*(heavy(file) for file in FILES if room_of(file) in LIGHT))
    assert found - KNOWN == set()


def test_the_command_and_the_light_rooms_load_no_heavy_library():
    """Nor does what they import; so `visemix --help` answers at once."""
    light = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
             for file in FILES if room_of(file) in (*LIGHT, "cli") and not heavy(file)]  # fmt: skip
    code = f"import sys, {', '.join(light)}\nprint(*{set(HEAVY)} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_file_name_says_which_file_is_meant():
    places = defaultdict(list)
    for file in FILES:
        if room_of(file) not in ("config", "report") and file.name not in PARTS:
            places[file.name].append(named(file))
    twice = {f"{name}: {', '.join(found)}" for name, found in places.items() if len(found) > 1}
    assert twice - KNOWN == set()


def test_no_room_is_more_than_a_fifth_of_the_package():
    lines = Counter()
    for file in FILES:
        lines[room_of(file)] += len(file.read_text().splitlines())
    large = {
        f"{room} is more than a fifth of the package"
        for room, count in lines.items()
        if 5 * count > lines.total()
    }
    assert large - KNOWN == set()
