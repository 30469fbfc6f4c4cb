"""A graph of artifacts and steps as inline SVG, drawn in layers from top to bottom."""

from functools import cache
from itertools import pairwise
from pathlib import Path

from markupsafe import Markup, escape

from visemix.tables.lineage import Step

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 186, 40, 18, 34, 8  # of a box and between boxes, px
STEP_HEIGHT = 24
LONGEST = 32  # characters of a name in a box
SWEEPS = 8  # over the layers, down and up in turn


def layered(edges: list[tuple[str, str]]) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Put the nodes of an acyclic graph into layers, so that few edges cross.

    A node stands as late as its readers allow (longest path to the end), an edge over several
    layers goes through a node in each between, whose name begins with a NUL; nodes of a layer are
    ordered by the mean place of their neighbours (Sugiyama et al., IEEE Trans. SMC 1981). Returns
    the layers, the first first, and the edges, each between two neighbouring layers.
    """
    after: dict[str, list[str]] = {}
    for start, end in edges:
        after.setdefault(start, []).append(end)
        after.setdefault(end, [])

    @cache
    def height(node: str) -> int:
        return 1 + max(map(height, after[node]), default=-1)

    heights = {node: height(node) for node in after}
    layers: list[list[str]] = [[] for _ in range(1 + max(heights.values()))]
    for node, level in heights.items():
        layers[len(layers) - 1 - level].append(node)
    short: list[tuple[str, str]] = []
    for number, (start, end) in enumerate(edges):
        path = [start]
        for level in range(heights[start] - 1, heights[end], -1):
            path.append(f"\0{number}-{level}")
            layers[len(layers) - 1 - level].append(path[-1])
        path.append(end)
        short += pairwise(path)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        pairs = [(end, start) if down else (start, end) for start, end in short]
        for above, layer in pairwise(layers if down else layers[::-1]):
            place = {node: at / max(len(above) - 1, 1) for at, node in enumerate(above)}
            means = {node: _mean_place(node, pairs, place) for node in layer}
            layer.sort(key=means.__getitem__)
    return layers, short


def _mean_place(node: str, pairs: list[tuple[str, str]], place: dict[str, float]) -> float:
    places = [place[other] for one, other in pairs if one == node and other in place]
    return sum(places) / len(places) if places else 0.5


def graph_svg(steps: list[Step], digests: dict[str, str], description: str) -> Markup:
    """The graph as inline SVG, top to bottom: artifacts as boxes with the begin of their sha256.

    digests: {file: sha256}; a file without one is drawn without. The styles are report.css's.
    """
    edges = []
    for number, step in enumerate(steps):
        node = f"{number}:{step.rule}"
        edges += [(file, node) for file in step.reads] + [(node, step.writes)]
    layers, short = layered(edges)
    widest = max(map(len, layers))
    width = MARGIN * 2 + widest * WIDTH + (widest - 1) * GAP_X
    places = {}
    for level, layer in enumerate(layers):
        spread = width / len(layer)
        for at, node in enumerate(layer):
            places[node] = (spread * (at + 0.5), MARGIN + level * (HEIGHT + GAP_Y) + HEIGHT / 2)
    height = MARGIN * 2 + len(layers) * HEIGHT + (len(layers) - 1) * GAP_Y
    drawn = [_curve(places[start], places[end]) for start, end in short]
    for node, (x, y) in places.items():
        if node in digests:
            drawn.append(_artifact(node, digests[node], x, y))
        elif not node.startswith("\0"):
            drawn.append(_step(node.split(":", 1)[1], x, y))
    return Markup(
        f'<svg class="graph" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(description)}">{"".join(drawn)}</svg>'
    )


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (u, v) = start, end
    half = (y + v) / 2
    points = f"M{x:.0f} {y:.0f}C{x:.0f} {half:.0f} {u:.0f} {half:.0f} {u:.0f} {v:.0f}"
    return f'<path class="edge" d="{points}"/>'


def _artifact(file: str, digest: str, x: float, y: float) -> str:
    return (
        f'<g><title>{escape(file)}, sha256 {digest}</title><rect class="artifact" rx="3" '
        f'x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}" height="{HEIGHT}"/>'
        f'<text x="{x:.0f}" y="{y - 3:.0f}">{escape(_short_name(file))}</text>'
        f'<text class="sha" x="{x:.0f}" y="{y + 12:.0f}">{digest[:12]}</text></g>'
    )


def _step(rule: str, x: float, y: float) -> str:
    return (
        f'<g><rect class="step" rx="12" x="{x - WIDTH / 2 + 20:.0f}" '
        f'y="{y - STEP_HEIGHT / 2:.0f}" width="{WIDTH - 40}" height="{STEP_HEIGHT}"/>'
        f'<text x="{x:.0f}" y="{y + 4:.0f}">{escape(rule)}</text></g>'
    )


def _short_name(file: str) -> str:
    """What tells a file from its neighbours, short enough for a box."""
    path = Path(file)
    if path.name in ("manifest.json", "pairs.parquet"):
        kind, name = path.parts[-3:-1]
    elif path.parts[0] in ("runs", "evaluations"):
        kind, name = path.parts[1], path.parts[-2]
    else:
        kind, name = path.parts[-2], path.stem
    text = f"{kind}: {name}"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
