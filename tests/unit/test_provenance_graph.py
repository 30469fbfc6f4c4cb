import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from visemix.report.provenance_graph import graph_svg, layered
from visemix.tables.lineage import Step, artifacts

STEPS = [
    Step("crops", ("data/manifests/m.parquet",), "data/crops/m-train/manifest.json"),
    Step("crops", ("data/manifests/m.parquet",), "data/crops/m-test/manifest.json"),
    Step("mixture_real", ("data/crops/m-train/manifest.json",), "data/mixtures/m-real.json"),
    Step("train", ("data/mixtures/m-real.json",), "runs/p-R1/seed-0/model.safetensors"),
    Step(
        "evaluate",
        ("runs/p-R1/seed-0/model.safetensors", "data/crops/m-test/manifest.json"),
        "evaluations/p-R1/seed-0/m-test/predictions.parquet",
    ),
]
# edges from a lower to a higher number: no circle
edges = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8)).filter(lambda e: e[0] < e[1]),
    min_size=1, max_size=12, unique=True,
)  # fmt: skip


@given(edges)
def test_every_edge_goes_down_one_layer_and_no_node_is_lost(given_edges):
    named = [(f"n{a}", f"n{b}") for a, b in given_edges]
    layers, short = layered(named)
    level = {node: number for number, layer in enumerate(layers) for node in layer}
    assert all(level[end] == level[start] + 1 for start, end in short)
    assert {n for n in level if not n.startswith("\0")} == {n for edge in named for n in edge}
    after = {}
    for start, end in short:
        after.setdefault(start, []).append(end)
    for start, end in named:  # an edge over several layers is a chain of nodes between
        found = list(after[start])
        while found and end not in found:
            found = [far for near in found if near.startswith("\0") for far in after[near]]
        assert end in found


def test_the_graph_shows_every_file_with_its_digest_and_every_step():
    digests = {file: f"{number:x}" * 64 for number, file in enumerate(artifacts(STEPS))}
    svg = ElementTree.fromstring(str(graph_svg(STEPS, digests, "from <here> to there")))
    assert svg.get("aria-label") == "from <here> to there"
    texts = [text.text for text in svg.iter("text")]
    for digest in digests.values():
        assert digest[:12] in texts
    assert [step.rule for step in STEPS if step.rule not in texts] == []
    assert texts.count("crops") == 2
    titles = {title.text for title in svg.iter("title")}
    assert titles == {f"{file}, sha256 {digest}" for file, digest in digests.items()}


def test_boxes_do_not_overlap_and_lie_in_the_picture():
    svg = ElementTree.fromstring(str(graph_svg(STEPS, dict.fromkeys(artifacts(STEPS), "0"), "g")))
    width, height = map(float, re.split(" ", svg.get("viewBox"))[2:])
    boxes = [[float(box.get(k)) for k in ("x", "y", "width", "height")] for box in svg.iter("rect")]
    assert len(boxes) == len(artifacts(STEPS)) + len(STEPS)
    for number, (x, y, w, h) in enumerate(boxes):
        assert x >= 0 and x + w <= width and y >= 0 and y + h <= height
        for u, v, _, _ in boxes[:number]:
            assert abs(x - u) >= min(w, 140) or abs(y - v) >= 24
