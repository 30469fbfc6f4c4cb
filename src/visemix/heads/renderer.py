"""Draw a speaking head: every frame is rasterised at twice its size, shaded once per surface seen
in a pixel, and written as uint8.

Cost decides the design. The z-buffer holds only the nearest triangle of each of a pixel's 2x2
samples. A pixel is shaded once where its samples lie on one smooth surface, and once per triangle
where they do not or where detail matters (lips, mouth, eyes), so that edges stay anti-aliased.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from visemix.heads.appearance import Light, Look
from visemix.heads.hair import Hair, strand_texture
from visemix.heads.model import UPPER_LIP, Head, load_head, ramp, rotation, screen
from visemix.heads.rasterizer import FAR, NOTHING, fill_depth, rasterize, vertex_normals, weights_at
from visemix.heads.texture import EYES, TEXTURE_SCALE, Painter

SAMPLES = 2  # per pixel and direction
GAMMA = 0.87  # display curve
NOISE_TILES = 4  # sensor noise repeats after this many frames
LIT_GAP = 0.10  # decimetres between the lips that let all light into the mouth
SKIN, WET, HAIR, INNER = range(4)  # how a vertex reflects light
SMOOTH_GAP = np.float32(0.03)  # decimetres of depth between samples of one smooth surface
_CURVE = (255 * np.linspace(0, 1, 1024) ** GAMMA).astype(np.float32)


@dataclass(frozen=True)
class Person:
    """One person, ready to be drawn."""

    neutral: np.ndarray  # (V, 3) float32
    texture: np.ndarray  # (H, W, 4) float32, head above, strands below
    hair: np.ndarray  # (N, 3) float32 hair vertices in model space
    hair_rest: np.ndarray  # (N, 3) hair over the base mesh


@dataclass(frozen=True)
class Placed:
    """All frames of a clip, ready for the z-buffer; positions in samples, not pixels."""

    xy: np.ndarray  # (B, V + N, 2) float32
    depth: np.ndarray  # (B, V + N) float32
    normals: np.ndarray  # (B, V + N, 3) float32
    inside: np.ndarray  # (B,) float32 proportion of light that gets into the mouth


@njit(cache=True, fastmath=True)
def _light_vertices(xy, normals, openness, kind, light, inside, out):
    """Per vertex of one frame, out (V, 6): x, y, light on R, G and B, highlight.

    openness (V,) is 1 where all surroundings shine on a vertex and less in folds, kind (V,) says
    how it reflects (SKIN, WET, HAIR, INNER), inside is the proportion of light between the lips.
    """
    one = np.float32(1)
    for v in range(out.shape[0]):
        nx, ny, nz = normals[v, 0], normals[v, 1], normals[v, 2]
        ao, k = openness[v], kind[v]
        key = nx * light[0, 0] + ny * light[0, 1] + nz * light[0, 2]
        fill = nx * light[1, 0] + ny * light[1, 1] + nz * light[1, 2]
        half = max(nx * light[2, 0] + ny * light[2, 1] + nz * light[2, 2], np.float32(0))
        h2 = half * half
        h8 = h2 * h2 * h2 * h2
        shine = h8 * h8 * h2 * h2
        if k == WET:  # a small highlight
            shine = h8 * h8 * h8 * h8 * h8 * h8
        elif k == HAIR:
            shine = h8 * h2
        elif k == INNER:
            shine *= inside
        ambient = light[4, 2] * (np.float32(0.75) + np.float32(0.25) * ny) * ao
        ambient += light[4, 1] * max(np.float32(0), fill * np.float32(0.6) + np.float32(0.4)) * ao
        direct = light[4, 0] * (np.float32(0.45) + np.float32(0.55) * ao)
        out[v, 0], out[v, 1] = xy[v, 0], xy[v, 1]
        for c in range(3):
            # red light goes deeper into skin and comes out beyond the terminator
            wrap = np.float32(0.34) - np.float32(0.07) * c if k == SKIN else np.float32(0.2)
            lit = ambient + direct * max(np.float32(0), key * (one - wrap) + wrap)
            if k == INNER:  # light that is scattered within the mouth
                lit = (np.float32(0.22) + np.float32(0.6) * lit) * inside
            out[v, 2 + c] = lit * light[3, c]
        out[v, 5] = shine * ao


@njit(cache=True, fastmath=True, inline="always")
def _shade(f, x, y, lit, faces, uv, texture, weight, colour):
    """Add `weight` times the colour of triangle f at the image point (x, y) to colour (3,)."""
    one, zero = np.float32(1), np.float32(0)
    i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
    wi, wj, wk = weights_at(lit, i, j, k, x, y)
    u = wi * uv[f, 0] + wj * uv[f, 2] + wk * uv[f, 4] - np.float32(0.5)
    v = wi * uv[f, 1] + wj * uv[f, 3] + wk * uv[f, 5] - np.float32(0.5)
    u = min(max(u, zero), np.float32(texture.shape[1] - 1.01))
    v = min(max(v, zero), np.float32(texture.shape[0] - 1.01))
    x0, y0 = np.uint32(u), np.uint32(v)
    x1, y1 = x0 + np.uint32(1), y0 + np.uint32(1)
    fx, fy = u - np.float32(x0), v - np.float32(y0)
    w00, w01, w10, w11 = (one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy
    gloss = w00 * texture[y0, x0, 3] + w01 * texture[y0, x1, 3]
    gloss += w10 * texture[y1, x0, 3] + w11 * texture[y1, x1, 3]
    gloss *= wi * lit[i, 5] + wj * lit[j, 5] + wk * lit[k, 5]
    for c in range(3):
        albedo = w00 * texture[y0, x0, c] + w01 * texture[y0, x1, c]
        albedo += w10 * texture[y1, x0, c] + w11 * texture[y1, x1, c]
        light = wi * lit[i, 2 + c] + wj * lit[j, 2 + c] + wk * lit[k, 2 + c]
        colour[c] += weight * min(one, albedo * light + gloss)


@njit(cache=True, fastmath=True)
def _draw(lit, faces, uv, surface, texture, background, noise, curve, nearest, seen, out):
    """Turn the filled z-buffer of one frame, twice as large as out, into out (S, S, 3) uint8.

    lit (V, 6) from _light_vertices, uv (F, 6), surface (F,): triangles of equal number are one
    smooth surface, -1 is shaded triangle by triangle.
    """
    height, width = out.shape[:2]
    triangle, depth = np.empty(4, np.int32), np.empty(4, np.float32)
    colour = np.empty(3, np.float32)
    for y in range(height):
        for x in range(width):
            n_empty = 0
            for s in range(4):
                triangle[s] = seen[2 * y + (s >> 1), 2 * x + (s & 1)]
                depth[s] = nearest[2 * y + (s >> 1), 2 * x + (s & 1)]
                n_empty += triangle[s] < 0
            empty = np.float32(0.25) * np.float32(n_empty)
            for c in range(3):
                colour[c] = empty * background[y, x, c]
            for s in range(4):
                f = triangle[s]
                if f < 0:
                    continue
                count, px, py = 0, 0, 0
                for t in range(s, 4):
                    g = triangle[t]
                    if g == f or (
                        g >= 0
                        and surface[f] >= 0
                        and surface[f] == surface[g]
                        and abs(depth[t] - depth[s]) < SMOOTH_GAP
                    ):
                        count += 1
                        px += t & 1
                        py += t >> 1
                        triangle[t] = -1
                mean = np.float32(1) / np.float32(count)
                at_x = np.float32(2 * x) + np.float32(0.5) + np.float32(px) * mean
                at_y = np.float32(2 * y) + np.float32(0.5) + np.float32(py) * mean
                weight = np.float32(0.25) * np.float32(count)
                _shade(f, at_x, at_y, lit, faces, uv, texture, weight, colour)
            for c in range(3):
                level = int(min(np.float32(1), max(np.float32(0), colour[c])) * np.float32(1023))
                value = curve[level] + noise[y, x] + np.float32(0.5)
                out[y, x, c] = int(min(np.float32(255), max(np.float32(0), value)))


class Renderer:
    """What does not change between people: topology, texels, folds. Build one per process."""

    def __init__(self, head: Head | None = None):
        self.head = head = head or load_head()
        self._painter = Painter(head)
        self._hair = Hair(head)
        n_head = len(head.rest)
        self._faces = np.concatenate([head.triangles, self._hair.faces + n_head]).astype(np.int32)
        strands = self._hair.uv + np.array([0, self._painter.size[0]], np.float32)
        uv = np.concatenate([head.uv * np.float32(TEXTURE_SCALE), strands])
        self._uv = np.ascontiguousarray(uv.reshape(-1, 6), np.float32)
        self._surface = np.ones(len(self._faces), np.int32)
        self._surface[: len(head.part)] = np.where(_fine_triangles(head), -1, 0)
        self._kind = np.full(n_head + self._hair.n_vertices, HAIR, np.int32)
        self._kind[:n_head] = _vertex_kinds(head)
        self._eyes = [head.part_vertices(name) for name in ("eye_left", "eye_right")]
        hair_openness = np.full(self._hair.n_vertices, 0.9)
        self._openness = np.concatenate([ambient_openness(head), hair_openness]).astype(np.float32)

    def person(self, coefficients, look: Look) -> Person:
        """Paint and comb a person with identity coefficients (K,)."""
        neutral = self.head.shape(coefficients)
        texture = np.concatenate([self._painter.paint(look), strand_texture(look)])
        rest, carrier, weight = self._hair.shape(look)
        shift = np.einsum("nk,nkc->nc", weight, (neutral - self.head.rest)[carrier])
        return Person(neutral, texture, (rest + shift).astype(np.float32), rest)

    def vertices(self, neutral, weights, gaze=None) -> np.ndarray:
        """Unposed vertices (B, V, 3) float32 for face-unit weights (B, E) and gaze (B, 2) rad."""
        vertices = self.head.animate(neutral, weights)
        if gaze is not None:
            gaze = np.asarray(gaze, np.float32)
            turn = rotation(gaze[:, 0], gaze[:, 1], np.zeros(len(gaze), np.float32))
            for ids in self._eyes:
                eye = vertices[:, ids]
                centre = eye.mean(1, keepdims=True)
                vertices[:, ids] = (eye - centre) @ turn.transpose(0, 2, 1) + centre
        return vertices

    def place(self, person: Person, weights, pose, gaze, scale, centre) -> Placed:
        """Shape, turn, project and light-weigh all frames, for an image of SAMPLES times the size.

        Arguments as of `render`.
        """
        n_head = len(self.head.rest)
        vertices = self.vertices(person.neutral, weights, gaze)
        inside = _light_inside(self.head, person.neutral, vertices)
        hair = np.broadcast_to(person.hair, (len(vertices), *person.hair.shape))
        vertices = np.concatenate([vertices, hair], 1)
        rest = np.concatenate([self.head.rest, person.hair_rest])
        rest[n_head:, 1] = np.maximum(rest[n_head:, 1], 5.9)  # long hair turns with the head
        posed = self.head.turn(vertices, pose, rest)
        normals = vertex_normals(posed, self._faces)
        xy, depth = screen(posed, None, scale * SAMPLES, np.asarray(centre) * SAMPLES)
        depth[:, n_head:] += np.float32(0.01)  # skin wins where hair starts
        return Placed(xy, depth, normals, inside)

    def find_visible(self, placed: Placed, frame: int, nearest, seen) -> None:
        """Fill the z-buffer, nearest and seen (SAMPLES S, SAMPLES S), of one frame."""
        nearest.fill(FAR)
        seen.fill(NOTHING)
        n_one_sided = len(self.head.triangles)  # hair is seen from within too
        xy, depth = placed.xy[frame], placed.depth[frame]
        fill_depth(xy, depth, self._faces, n_one_sided, nearest, seen)

    def render(
        self, person: Person, weights, pose, light: Light, background, gaze=None, scale=72.0,
        centre=None, noise=0.0, noise_seed=0,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Draw frames (B, S, S, 3) uint8 RGB and give the head's vertices (B, V, 2) in pixels.

        weights (B, E) face units, pose (B, 3) rad, background (S, S, 3) float32 in 0..1, gaze
        (B, 2) rad, scale in px per decimetre, centre (B, 2) px. `noise` is the deviation of the
        sensor's grain in units of full scale.
        """
        size, n = len(background), len(weights)
        if centre is None:
            centre = np.full((n, 2), size / 2)
        placed = self.place(person, weights, pose, gaze, scale, centre)
        frames = np.empty((n, size, size, 3), np.uint8)
        grain = _sensor_noise(noise, noise_seed, size)
        background = np.ascontiguousarray(background, np.float32)
        rows = light.rows()
        nearest = np.empty((SAMPLES * size, SAMPLES * size), np.float32)
        seen = np.empty(nearest.shape, np.int32)
        lit = np.empty((placed.xy.shape[1], 6), np.float32)
        for b in range(n):
            self.find_visible(placed, b, nearest, seen)
            _light_vertices(
                placed.xy[b], placed.normals[b], self._openness, self._kind, rows,
                placed.inside[b], lit,
            )  # fmt: skip
            _draw(
                lit, self._faces, self._uv, self._surface, person.texture, background,
                grain[b % NOISE_TILES], _CURVE, nearest, seen, frames[b],
            )  # fmt: skip
        return frames, placed.xy[:, : len(self.head.rest)] / SAMPLES


def _light_inside(head: Head, neutral, vertices) -> np.ndarray:
    """Proportion (B,) of light that gets into the mouth: the lips are apart, or the upper is up."""
    raised = (vertices[:, UPPER_LIP, 1] - neutral[UPPER_LIP, 1]).clip(0)
    return np.float32(0.1) + np.float32(0.9) * ramp(0, LIT_GAP, head.lip_gap(vertices) + raised)


def _fine_triangles(head: Head) -> np.ndarray:
    """Triangles (T,) bool that are always shaded one by one: lips, mouth, eyes and lids."""
    middle = head.rest[head.triangles].mean(1)
    near_eye = np.linalg.norm(middle[:, None] - EYES[None], axis=-1).min(1) < 0.24
    lips = head.region("lips")[head.triangles].max(1) > 0.05
    return (head.part != 0) | near_eye | lips


def _vertex_kinds(head: Head) -> np.ndarray:
    """How each vertex (V,) reflects; where skin meets the inside of the mouth it is skin."""
    kind = np.full(len(head.rest), SKIN)
    for name in ("mouth_inside", "teeth_upper", "teeth_lower", "tongue"):
        kind[head.part_vertices(name)] = INNER
    kind[head.part_vertices("skin")] = SKIN
    for name in ("eye_left", "eye_right"):
        kind[head.part_vertices(name)] = WET
    return kind


def _sensor_noise(deviation: float, seed: int, size: int) -> np.ndarray:
    """Grain (NOISE_TILES, size, size) float32 in grey levels of 0..255."""
    rng = np.random.default_rng(seed)
    grain = rng.standard_normal((NOISE_TILES, size, size), np.float32)
    grain *= np.float32(255 * deviation)
    return grain


def ambient_openness(head: Head) -> np.ndarray:
    """How open to its surroundings each vertex (V,) of the mean head is, 0.25..1.

    The proportion of directions in the vertex's half-space from which depth maps see it.
    """
    rng, size = np.random.default_rng(0), 160
    normal = vertex_normals(head.mean[None], head.triangles)[0]
    open_light, all_light = np.zeros(len(normal)), np.full(len(normal), 1e-6)
    for _ in range(48):
        direction = rng.normal(size=3)
        if rng.random() < 0.7:  # more light comes from above
            direction[1] = abs(direction[1])
        direction /= np.linalg.norm(direction)
        side = np.cross(direction, [0.1, 1, 0.05])
        side /= np.linalg.norm(side)
        seen_from = head.mean @ np.stack([side, np.cross(direction, side), direction]).T
        extent = np.ptp(seen_from[:, :2], axis=0).max()
        xy = (seen_from[:, :2] - seen_from[:, :2].min(0)) * ((size - 4) / extent) + 2
        depth = 10 - seen_from[:, 2]
        seen, weight = rasterize(xy[None], depth[None], head.triangles, size, size)
        corner_depth = depth[head.triangles[seen[0]]]
        nearest = np.where(seen[0] >= 0, (corner_depth * weight[0]).sum(-1), 99)
        nearest = cv2.dilate(nearest.astype(np.float32), np.ones((2, 2)))
        x, y = xy.astype(int).T
        cosine = np.clip(normal @ direction, 0, None)
        open_light += cosine * (depth < nearest[y, x] + 0.05)
        all_light += cosine
    openness = np.ones(len(normal))
    skin = head.part_vertices("skin")
    openness[skin] = 0.25 + 0.75 * np.clip(open_light[skin] / all_light[skin] * 1.15, 0, 1)
    return openness
