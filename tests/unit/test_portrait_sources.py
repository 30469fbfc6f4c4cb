import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.toy_manifest import make_manifest
from tests.helpers.workflow import REPOSITORY

from visemix.cli import main
from visemix.config.parameters import ParameterError, resolve_parameters
from visemix.corpora.found import corpora_table
from visemix.corpora.portrait_sources import list_portraits
from visemix.corpora.portraits import (
    PORTRAITS,
    look_at,
    scan,
)
from visemix.corpora.table import ManifestError
from visemix.synthesis import pairing
from visemix.synthesis.pairing import PairingError, make_pairs


def draw(path, height=80, width=72, channels=3, seed=0):
    """Write a picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width, channels) if channels > 1 else (height, width)
    noise = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    assert cv2.imwrite(str(path), noise)
    return path


@pytest.fixture
def ffhq(tmp_path):
    for number in (0, 1, 59_999, 60_000):
        draw(tmp_path / f"images1024x1024/{number // 1000:02d}000/{number:05d}.png", seed=number)
    return tmp_path


@pytest.fixture
def vggface2(tmp_path):
    for person in ("n000002", "n000003", "n000004"):
        for number in (1, 2, 3):
            draw(tmp_path / f"train/{person}/{number:04d}_01.jpg")
    draw(tmp_path / "test/n000001/0001_01.jpg")
    return tmp_path


@pytest.fixture
def celeba(tmp_path):
    """Pictures 1 to 6 of the people 11, 11, 12, 13, 13, 14; 4 and 5 are val, 6 is test."""
    for number in range(1, 7):
        draw(tmp_path / f"Img/img_align_celeba/{number:06d}.jpg", 218, 178)
    people, parts = (11, 11, 12, 13, 13, 14), (0, 0, 0, 1, 1, 2)
    for name, values in (("Anno/identity_CelebA", people), ("Eval/list_eval_partition", parts)):
        path = tmp_path / f"{name}.txt"
        path.parent.mkdir()
        path.write_text("".join(f"{n:06d}.jpg {v}\n" for n, v in enumerate(values, 1)))
    return tmp_path


def test_ffhq(ffhq, tmp_path):
    table = scan(ffhq, "ffhq")
    assert list(table["identity"]) == ["00000", "00001", "59999", "60000"]
    assert list(table["split"]) == ["train", "train", "train", "val"]
    assert table["portrait_id"][1] == "ffhq/images1024x1024/00000/00001.png"
    assert set(table["status"]) == {"ok"} and table["sha256"].is_unique
    assert (table["height"][0], table["width"][0]) == (80, 72)
    assert scan(ffhq, "ffhq", workers=2).equals(table)
    PORTRAITS.write(table, tmp_path / "out/portraits.parquet")
    assert PORTRAITS.read(tmp_path / "out/portraits.parquet").equals(table)


def test_vggface2(vggface2):
    (vggface2 / "train/others").mkdir()
    draw(vggface2 / "train/others/0001_01.jpg")
    table = scan(vggface2, "vggface2").set_index("media")
    assert (
        len(table) == 11 and table["identity"].nunique() == 5
    )  # four known people, and "" for the unknown
    assert table.loc["test/n000001/0001_01.jpg", "split"] == "test"
    unknown = table.loc["train/others/0001_01.jpg"]
    assert unknown["identity"] == "" and "not n and six digits" in unknown["reason"]
    assert set(table.drop("train/others/0001_01.jpg")["status"]) == {"ok"}


def test_celeba(celeba):
    table = scan(celeba, "celeba")
    assert list(table["identity"]) == ["11", "11", "12", "13", "13", "14"]
    assert list(table["split"]) == ["train"] * 3 + ["val"] * 2 + ["test"]
    assert set(table["status"]) == {"ok"} and table["height"][0] == 218
    for folder in ("Img", "Anno", "Eval"):  # other copies have all in one folder
        for path in (celeba / folder).iterdir():
            shutil.move(path, celeba / path.name)
    flat = scan(celeba, "celeba")
    assert flat[["identity", "split", "sha256"]].equals(table[["identity", "split", "sha256"]])


def test_celeba_pictures_and_lists_that_do_not_agree(celeba):
    pictures = celeba / "Img/img_align_celeba"
    (pictures / "000003.jpg").unlink()
    draw(pictures / "000007.jpg")
    with open(celeba / "Anno/identity_CelebA.txt", "a") as file:
        file.write("000008.jpg 15\n")
    with open(celeba / "Eval/list_eval_partition.txt", "a") as file:
        file.write("000009.jpg 0\n")
    draw(pictures / "000009.jpg")
    table = scan(celeba, "celeba").set_index("media")
    reasons = {name[-10:-4]: reason for name, reason in table["reason"].items() if reason}
    assert reasons == {
        "000003": "000003.jpg is missing",
        "000007": "list_eval_partition.txt does not name it",
        "000008": "list_eval_partition.txt does not name it",
    }
    unknown = table.loc["Img/img_align_celeba/000009.jpg"]
    assert unknown["identity"] == "" and unknown["status"] == "ok"


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("Anno/identity_CelebA.txt", "000001.jpg 12", "line 7: .* is listed twice"),
        ("Anno/identity_CelebA.txt", "000007.jpg somebody", "line 7: .* and a number"),
        ("Anno/identity_CelebA.txt", "/data/000007.jpg 12", "line 7: .* and a number"),
        ("Eval/list_eval_partition.txt", "../000007.jpg 1", "line 7: .* and a number"),
        ("Eval/list_eval_partition.txt", "000007.jpg 3", "line 7: .* and a number"),
    ],
)
def test_celeba_broken_lists(celeba, name, line, message):
    with open(celeba / name, "a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=message):
        scan(celeba, "celeba")


def test_celeba_without_its_parts(celeba):
    draw(celeba / "Img/img_align_celeba/000002.png")
    with pytest.raises(ValueError, match="are the same picture"):
        scan(celeba, "celeba")
    (celeba / "Anno/identity_CelebA.txt").unlink()
    (celeba / "Img/img_align_celeba/000002.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"identity_CelebA.txt: no such list"):
        scan(celeba, "celeba")
    shutil.rmtree(celeba / "Img")
    with pytest.raises(FileNotFoundError, match="no folder img_align_celeba"):
        scan(celeba, "celeba")


def test_vggface(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/Ada_Lovelace.txt").write_text("00000001 http://host/a.jpg 1 2 3 4 0 5 1\n")
    with pytest.raises(FileNotFoundError, match=r"no pictures .*addresses in files"):
        scan(tmp_path, "vggface")
    draw(tmp_path / "Ada_Lovelace/00000001.jpg")
    draw(tmp_path / "stray.png")
    table = scan(tmp_path, "vggface").set_index("media")
    assert table.loc["Ada_Lovelace/00000001.jpg", "identity"] == "Ada_Lovelace"
    assert table.loc["stray.png", "identity"] == "" and set(table["split"]) == {""}
    draw(tmp_path / "images/Alan_Turing/1.jpg")  # then only this folder counts
    assert list(scan(tmp_path, "vggface")["identity"]) == ["Alan_Turing"]


def test_pictures_that_cannot_be_used(tmp_path):
    root, outside = tmp_path / "faces", draw(tmp_path / "outside.png")
    for name in ("cut.png", "cut.jpg", "good.jpg", "good.png", "deep/good.webp"):
        draw(root / name)
    for name in ("cut.png", "cut.jpg"):
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: len(content) // 2])
    draw(root / "grey.png", channels=1)
    draw(root / "alpha.png", channels=4)
    draw(root / "tiny.png", height=63)
    (root / "text.jpg").write_text("not a picture")
    (root / "empty.png").touch()
    (root / "link.png").symlink_to(outside)
    (root / "inner.png").symlink_to(root / "good.png")
    (root / "gone.png").symlink_to(root / "nothing.png")
    (root / ".hidden.png").touch()
    (root / "notes.txt").touch()
    table = scan(root)
    assert len(table) == 13 and set(table["identity"]) == {""} and set(table["split"]) == {""}
    good = {"good.jpg", "good.png", "deep/good.webp", "inner.png"}
    assert set(table["media"][table["status"] == "ok"]) == good
    reasons = table.set_index("media")["reason"]
    for name in ("cut.png", "cut.jpg", "text.jpg", "empty.png"):
        assert f"{name} cannot be read" in reasons[name]
    assert "mode L" in reasons["grey.png"] and "mode RGBA" in reasons["alpha.png"]
    assert reasons["tiny.png"] == "tiny.png is 72x63 pixels; 64 a side are needed"
    assert "outside the corpus root" in reasons["link.png"]
    assert "missing" in reasons["gone.png"]
    assert "outside" in look_at(root, str(outside))["reason"]
    assert "outside" in look_at(root, "../outside.png")["reason"]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["png", "jpg", "webp", "bmp"]))
def test_no_damage_stops_a_scan(tmp_path_factory, data, kind):
    folder = tmp_path_factory.mktemp("damage")
    path = draw(folder / f"face.{kind}", 64, 64)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    assert scan(folder)["status"].isin(["ok", "rejected"]).all()


def test_wrong_corpora_and_tables(tmp_path, ffhq):
    with pytest.raises(ValueError, match="give one of folder, ffhq"):
        scan(ffhq, "lfw")
    with pytest.raises(FileNotFoundError, match="no pictures"):
        scan(tmp_path / "nothing", "ffhq")
    table = scan(ffhq, "ffhq")
    for column, value, message in (
        ("portrait_id", "same", "portrait_id is not unique"),
        ("media", "/data/a.png", "not relative"),
        ("media", "a/../../b.png", "not relative"),
        ("split", "dev", "split is none of"),
        ("height", 0, "not positive"),
        ("reason", "bad", "but a reason is given"),
        ("sha256", "", "64 hexadecimal"),
    ):
        with pytest.raises(ManifestError, match=message):
            PORTRAITS.write(table.assign(**{column: value}), tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_corpora_command(tmp_path, capsys):
    draw(tmp_path / "a/images1024x1024/00000/00000.png")
    draw(tmp_path / "b/train/n000002/0001_01.jpg")
    draw(tmp_path / "c/me.png")
    draw(tmp_path / "d/Ada_Lovelace/1.jpg")
    (tmp_path / "d/files").mkdir()
    (tmp_path / "d/files/Ada_Lovelace.txt").write_text("00000001 http://host/a.jpg 1 2 3 4\n")
    draw(tmp_path / "logo.png")  # does not make the folder one of portraits
    table = corpora_table([tmp_path])
    assert list(table["corpus"].unique()) == ["FFHQ", "VGGFace2", "portraits", "VGGFace"]
    counts = table.set_index(["corpus", "split"])
    assert counts.loc[("FFHQ", "train"), "missing"] == 59_999
    assert counts.loc[("portraits", "all"), "usable"] == 1
    assert counts.loc[("VGGFace2", "test"), "expected"] == 169_396
    assert corpora_table([tmp_path / "c"])["corpus"].tolist() == ["portraits"]
    assert main(["corpora", str(tmp_path)]) == 0
    assert "3141890" in capsys.readouterr().out


@pytest.fixture
def all_have_faces(monkeypatch):
    def look(root, picture):
        return {"portrait": "?", "picture": picture, "picture_sha256": picture}, ""

    monkeypatch.setattr(pairing, "_look", look)


def of(images_per_person=1, **roots):
    """Sources of portraits as params.yaml gives them."""
    return [
        {"source": source, "root": str(root), "images_per_person": images_per_person}
        for source, root in roots.items()
    ]


def test_pairing_takes_one_picture_a_person(vggface2, all_have_faces):
    def pairs(seed):
        return make_pairs(make_manifest(), of(vggface2=vggface2), seed=seed)[0]

    one = pairs(0)
    assert set(one["portrait"]) == {f"vggface2-n00000{i}" for i in (2, 3, 4)}  # none of test
    assert one.groupby("portrait")["picture"].nunique().tolist() == [1, 1, 1]
    assert one["clip_id"].is_unique and len(one) == 15 and one.equals(pairs(0))
    for portrait, picture in zip(one["portrait"], one["picture"], strict=True):
        assert picture.split("/")[1] == portrait.removeprefix("vggface2-")
    drawn = {picture for seed in range(20) for picture in pairs(seed)["picture"]}
    assert len(drawn) == 9  # every picture has its chance


def test_pairing_leaves_out_test_people_unknown_people_and_bad_pictures(celeba, all_have_faces):
    (celeba / "Img/img_align_celeba/000003.jpg").write_bytes(b"")
    with open(celeba / "Eval/list_eval_partition.txt", "a") as file:
        file.write("000007.jpg 2\n000008.jpg 0\n")
    with open(celeba / "Anno/identity_CelebA.txt", "a") as file:
        file.write("000007.jpg 13\n")  # a person in two splits
    for number in (7, 8):
        draw(celeba / f"Img/img_align_celeba/{number:06d}.jpg")
    pairs, excluded = make_pairs(make_manifest(), of(celeba=celeba))
    assert set(pairs["portrait"]) == {"celeba-11"}
    assert excluded["portrait"].tolist() == ["celeba-12"]
    assert "none of 1 pictures can be used" in excluded["reason"].item()
    assert "cannot be read" in excluded["reason"].item()


def test_pairing_takes_another_picture_of_a_person(vggface2, all_have_faces):
    for number in (1, 3):
        (vggface2 / f"train/n000002/{number:04d}_01.jpg").write_bytes(b"")
    for seed in range(5):
        pairs, excluded = make_pairs(make_manifest(), of(vggface2=vggface2), seed=seed)
        assert "train/n000002/0002_01.jpg" in set(pairs["picture"]) and excluded.empty


def test_pairing_without_anybody_known(tmp_path, all_have_faces):
    draw(tmp_path / "test/n000001/0001_01.jpg")
    with pytest.raises(PairingError, match="none of 1 pictures shows a known person"):
        make_pairs(make_manifest(), of(vggface2=tmp_path))


def test_pairing_of_pictures_without_faces(ffhq):
    with pytest.raises(PairingError, match="1 clips asked, but 0 portraits"):
        make_pairs(make_manifest(), of(ffhq=ffhq), clips=1)
    assert len(list_portraits(ffhq, "ffhq")) == 4


def test_several_pictures_of_a_person_stay_one_identity(vggface2, all_have_faces):
    (vggface2 / "train/n000002/0001_01.jpg").write_bytes(b"")  # another takes its place
    pairs, excluded = make_pairs(make_manifest(), of(2, vggface2=vggface2), clips_per_portrait=3)
    assert pairs.groupby("portrait")["picture"].nunique().to_dict() == {
        f"vggface2-n00000{i}": 2 for i in (2, 3, 4)
    }
    assert pairs.groupby("picture")["source"].nunique().tolist() == [3] * 6
    assert pairs["clip_id"].is_unique and excluded.empty
    assert "train/n000002/0001_01.jpg" not in set(pairs["picture"])
    assert not pairs["picture"].str.startswith("test/").any()
    # the clips of a picture lie together, so that it is prepared once
    assert (pairs["picture"] != pairs["picture"].shift()).sum() == 6


def test_sources_together_give_what_one_of_them_cannot(ffhq, vggface2, tmp_path, all_have_faces):
    """As FFHQ and VGGFace must for LipGen's 400,000 clips, which FFHQ alone cannot."""
    own = tmp_path / "own"
    draw(own / "n000002.png")
    draw(ffhq / "images1024x1024/broken.png").write_bytes(b"")
    with pytest.raises(PairingError, match=r"40 clips asked, but ffhq .*: 4 people, 4 portr.* 20 "):
        make_pairs(make_manifest(), of(ffhq=ffhq), clips=40)
    sources = [*of(ffhq=ffhq), *of(2, vggface2=vggface2), *of(folder=own)]
    pairs, _ = make_pairs(make_manifest(), sources, clips=55)
    assert pairs["clip_id"].is_unique and len(pairs) == 55
    assert set(pairs["portrait"]) == {
        "ffhq-00000", "ffhq-00001", "ffhq-59999", "ffhq-60000", "n000002",
        "vggface2-n000002", "vggface2-n000003", "vggface2-n000004",
    }  # fmt: skip
    for row in pairs.itertuples():
        assert (Path(sources[row.picture_source]["root"]) / row.picture).is_file()


def test_too_few_portraits_are_said_before_a_picture_is_opened(vggface2, monkeypatch):
    monkeypatch.setattr(pairing, "_look", lambda *_: pytest.fail("opened"))
    monkeypatch.setattr(pairing, "look_at", lambda *_: pytest.fail("opened"))
    wrong = r"31 clips asked, but vggface2 .*: 3 people, 6 portraits give at most 30 \(5 each\); "
    with pytest.raises(PairingError, match=wrong + "add a source .*images_per_person, or lower"):
        make_pairs(make_manifest(), of(2, vggface2=vggface2), clips=31)


def test_portraits_of_one_name_are_refused(tmp_path, all_have_faces):
    draw(tmp_path / "a/face.png")
    draw(tmp_path / "b/face.jpg")
    with pytest.raises(PairingError, match=r"a, .*b: 2 portraits are named face"):
        make_pairs(make_manifest(), [*of(folder=tmp_path / "a"), *of(folder=tmp_path / "b")])


def resolved(**synthesis):
    config = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    config["overrides"] = {"synthesis": synthesis}
    return resolve_parameters(config)["synthesis"]["portraits"]


def test_portraits_are_a_folder_or_sources():
    assert resolved(portraits="faces") == of(folder="faces")
    two = [{"source": "ffhq", "root": "f"},
           {"source": "vggface", "root": "v", "images_per_person": 4}]  # fmt: skip
    assert resolved(rendered_portraits=0, portraits=two) == [*of(ffhq="f"), *of(4, vggface="v")]
    for portraits, message in (
        ([two[0], two[0]], "names ffhq twice"),
        ([two[0] | {"images_per_person": 2}], "in ffhq every image is another person"),
        ([two[1] | {"images_per_person": 0}], r"portraits\.0\.images_per_person: 0 is not allowed"),
        ([two[1] | {"images_per_face": 4}], "face: unknown key; did you mean 'images_per_person'"),
        ([{"source": "ffhq"}], r"portraits\.0\.root: missing"),
        ([two[0] | {"source": "lfw"}], "source: 'lfw' is not allowed"),
        ([], r"portraits: \[\] is not allowed"),
    ):
        with pytest.raises(ParameterError, match=message):
            resolved(rendered_portraits=0, portraits=portraits)


def test_the_key_before_names_the_one_now():
    with pytest.raises(ParameterError, match=r"portrait_source: .*portraits: \[\{source: ffhq"):
        resolved(portrait_source="ffhq")


def test_rendered_portraits_need_a_folder():
    with pytest.raises(ParameterError, match="rendered_portraits to 0"):
        resolved(portraits=[{"source": "ffhq", "root": "f"}])
