"""The command line, on real synthetic people and the real engine."""

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import openpeople
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from mien import FaceSwapper
from mien.cli import main

PEOPLE = Path(openpeople.__file__).parent / "data" / "curated"


def person(name: str, width: int) -> Image.Image:
    image = opened(PEOPLE / name)
    return image.resize((width, round(width * image.height / image.width)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """target.jpg, face.jpg; pair.png with a large and a small face; wall.png without any."""
    folder = tmp_path_factory.mktemp("pictures")
    target, face = (
        person("P001/assets/amateur_selfie.jpg", 500),
        person("P002/assets/studio_portrait.jpg", 400),
    )
    target.save(folder / "target.jpg", quality=95)
    face.save(folder / "face.jpg", quality=95)
    pair = Image.new("RGB", (800, 600), (128, 128, 128))
    pair.paste(face, (20, 50))
    pair.paste(person("P003/assets/studio_portrait.jpg", 250), (500, 150))
    pair.save(folder / "pair.png")
    Image.new("RGB", (200, 200), (190, 170, 150)).save(folder / "wall.png")
    return folder


def mien(*arguments: str | Path, input: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=input)


def one_line(result: Result) -> str:
    """The only line of an error."""
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    return lines[0]


def opened(picture: bytes | Path) -> Image.Image:
    return Image.open(io.BytesIO(picture if isinstance(picture, bytes) else picture.read_bytes()))


def pixels(picture: bytes | Path) -> np.ndarray:
    return np.array(opened(picture))


class TestSwap:
    def test_writes_the_targets_picture_with_another_face(self, folder: Path, tmp_path: Path) -> None:
        output, report = tmp_path / "result.png", tmp_path / "report.json"
        result = mien("swap", folder / "target.jpg", folder / "face.jpg", "-o", output, "--report", report)
        assert result.exit_code == 0, result.stderr
        assert result.stdout == ""
        before, after = pixels(folder / "target.jpg"), pixels(output)
        assert opened(output).format == "PNG"
        changed = (before != after).any(axis=-1)
        x0, y0, x1, y1 = FaceSwapper().detect(before)[0].box
        ys, xs = changed.nonzero()
        assert changed[int(y0) : int(y1), int(x0) : int(x1)].mean() > 0.5
        assert 0.5 * (x0 + x1) == pytest.approx(xs.mean(), abs=0.3 * (x1 - x0))
        assert 0.5 * (y0 + y1) == pytest.approx(ys.mean(), abs=0.3 * (y1 - y0))
        assert json.loads(report.read_text())["similarity_to_source"] > 0.4
        assert set(tmp_path.iterdir()) == {output, report}  # no part is left behind

    @pytest.mark.parametrize(
        ("name", "options", "format"),
        [
            ("result", [], "PNG"),
            ("result.JPEG", [], "JPEG"),
            ("result.webp", ["--quality", "50"], "WEBP"),
            ("result.png", ["--format", "jpg"], "JPEG"),
        ],
    )
    def test_format_is_the_options_or_the_suffixs_or_png(
        self, folder: Path, tmp_path: Path, name: str, options: list[str], format: str
    ) -> None:
        result = mien("swap", folder / "target.jpg", folder / "face.jpg", "-o", tmp_path / name, *options)
        assert result.exit_code == 0, result.stderr
        assert opened(tmp_path / name).format == format

    def test_reads_standard_input_and_writes_standard_output(self, folder: Path) -> None:
        target = (folder / "target.jpg").read_bytes()
        result = mien("swap", "-", folder / "face.jpg", "--output", "-", "--format", "webp", input=target)
        assert result.exit_code == 0, result.stderr
        assert pixels(result.stdout_bytes).shape == pixels(target).shape

    def test_takes_the_faces_that_are_named(self, folder: Path, tmp_path: Path) -> None:
        output = tmp_path / "result.png"
        options = ["--target-index", "1", "--source-index", "0"]
        result = mien("swap", folder / "pair.png", folder / "target.jpg", "-o", output, *options)
        assert result.exit_code == 0, result.stderr
        changed = (pixels(folder / "pair.png") != pixels(output)).any(axis=-1)
        assert changed[:, 500:].any()
        assert not changed[:, :450].any()

    def test_changes_several_faces_at_once(self, folder: Path, tmp_path: Path) -> None:
        output, report = tmp_path / "result.png", tmp_path / "report.json"
        options = ["--also", f"1={folder / 'face.jpg'}", "--report", str(report)]
        result = mien("swap", folder / "pair.png", folder / "target.jpg", "-o", output, *options)
        assert result.exit_code == 0, result.stderr
        changed = (pixels(folder / "pair.png") != pixels(output)).any(axis=-1)
        assert changed[:, 500:].any()
        assert changed[:, :450].any()
        assert len(json.loads(report.read_text())) == 2

    def test_one_face_can_go_to_several(self, folder: Path, tmp_path: Path) -> None:
        output = tmp_path / "result.png"
        options = ["--target-index", "1", "--target-index", "0"]
        result = mien("swap", folder / "pair.png", folder / "target.jpg", "-o", output, *options)
        assert result.exit_code == 0, result.stderr
        changed = (pixels(folder / "pair.png") != pixels(output)).any(axis=-1)
        assert changed[:, 500:].any()
        assert changed[:, :450].any()

    def test_takes_several_pictures_of_a_person(self, folder: Path, tmp_path: Path) -> None:
        output, report = tmp_path / "result.png", tmp_path / "report.json"
        pictures = [folder / "face.jpg", folder / "face.jpg"]
        result = mien("swap", folder / "target.jpg", *pictures, "-o", output, "--report", report)
        assert result.exit_code == 0, result.stderr
        assert json.loads(report.read_text())["pictures"] == [0, 1]

    def test_explains_itself_in_numbered_pictures(self, folder: Path, tmp_path: Path) -> None:
        explained = tmp_path / "a" / "steps"
        options = ["-o", str(tmp_path / "result.png"), "--explain", str(explained)]
        result = mien("swap", folder / "target.jpg", folder / "face.jpg", *options)
        assert result.exit_code == 0, result.stderr
        names = sorted(path.name for path in explained.iterdir())
        assert names[0] == "01-the-picture.png"
        assert names[-2].endswith("-result.png")
        assert names[-1] == "sheet.png"
        assert min(opened(explained / "sheet.png").size) > 500

    def test_keeps_the_targets_transparency(self, folder: Path, tmp_path: Path) -> None:
        target = opened(folder / "target.jpg")
        alpha = Image.linear_gradient("L").resize(target.size)
        target.putalpha(alpha)
        target.save(tmp_path / "target.png")
        mien("swap", tmp_path / "target.png", folder / "face.jpg", "-o", tmp_path / "result.png")
        assert (pixels(tmp_path / "result.png")[..., 3] == np.array(alpha)).all()

    def test_overwrites_a_result_through_a_link(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "old.png").write_bytes(b"old")
        (tmp_path / "link.png").symlink_to("old.png")
        result = mien("swap", folder / "target.jpg", folder / "face.jpg", "-o", tmp_path / "link.png")
        assert result.exit_code == 0, result.stderr
        assert (tmp_path / "link.png").is_symlink()
        assert opened(tmp_path / "old.png").format == "PNG"

    def test_notes_what_could_be_better(self, folder: Path, tmp_path: Path) -> None:
        small = opened(folder / "face.jpg")
        small.resize((small.width // 4, small.height // 4)).save(tmp_path / "small.png")
        result = mien("swap", folder / "target.jpg", tmp_path / "small.png", "-o", tmp_path / "result.png")
        assert result.exit_code == 0, result.stderr
        assert "Note: The face in the face picture is" in result.stderr

    @pytest.mark.parametrize(
        ("target", "face", "code", "words"),
        [
            ("missing.jpg", "face.jpg", 3, "missing.jpg can't be read: No such file"),
            ("notes.txt", "face.jpg", 3, "notes.txt` is not a picture format"),
            ("target.jpg", "broken.jpg", 3, "broken.jpg` is damaged or incomplete"),
            ("target.jpg", "thin.png", 3, "thin.png` is 400 × 33 pixels"),
            ("wall.png", "face.jpg", 4, "No face was found in the target picture"),
            ("target.jpg", "wall.png", 4, "No face was found in the source picture"),
        ],
    )
    def test_errors_are_one_line_and_an_exit_code(
        self, folder: Path, tmp_path: Path, target: str, face: str, code: int, words: str
    ) -> None:
        (folder / "notes.txt").write_text("not a picture at all")
        (folder / "broken.jpg").write_bytes((folder / "face.jpg").read_bytes()[:5000])
        Image.new("RGB", (400, 33)).save(folder / "thin.png")
        result = mien("swap", folder / target, folder / face, "-o", tmp_path / "result.png")
        assert result.exit_code == code
        assert words in one_line(result)
        assert not any(tmp_path.iterdir())

    def test_a_face_number_that_does_not_exist(self, folder: Path, tmp_path: Path) -> None:
        arguments = ["-o", str(tmp_path / "result.png"), "--target-index", "5"]
        result = mien("swap", folder / "pair.png", folder / "face.jpg", *arguments)
        assert result.exit_code == 4
        assert "there are 2 faces" in one_line(result)

    def test_an_output_without_a_folder_is_refused_before_any_work(
        self, folder: Path, tmp_path: Path
    ) -> None:
        output = tmp_path / "missing" / "result.png"
        result = mien("swap", "unread.jpg", "unread.jpg", "-o", output)
        assert result.exit_code == 1
        assert "there is no such folder" in one_line(result)

    def test_an_output_that_cannot_be_written(self, folder: Path, tmp_path: Path) -> None:
        output = tmp_path / ("x" * 300 + ".png")
        result = mien("swap", folder / "target.jpg", folder / "face.jpg", "-o", output)
        assert result.exit_code == 1
        assert "can't be written" in one_line(result)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["a.jpg", "b.jpg"],
            ["a.jpg", "-o", "c.png"],
            ["-", "-", "-o", "c.png"],
            ["a.jpg", "b.jpg", "-o", "-", "--report", "-"],
            ["a.jpg", "b.jpg", "-o", "c.bmp"],
            ["a.jpg", "b.jpg", "-o", "c.png", "--target-index", "-1"],
            ["a.jpg", "b.jpg", "-o", "c.png", "--quality", "101"],
            ["a.jpg", "b.jpg", "-o", "c.png", "--format", "gif"],
            ["a.jpg", "b.jpg", "-o", "c.png", "--also", "b.jpg"],
            ["a.jpg", "b.jpg", "-o", "c.png", "--also", "0=c.jpg"],
            ["-", "b.jpg", "-o", "c.png", "--also", "1=-"],
        ],
    )
    def test_wrong_usage_is_code_2(self, arguments: list[str]) -> None:
        assert mien("swap", *arguments).exit_code == 2


class TestFaces:
    def test_lists_them_largest_first(self, folder: Path) -> None:
        result = mien("faces", folder / "pair.png")
        assert result.exit_code == 0, result.stderr
        first, second = result.stdout.splitlines()
        assert first.split()[0] == "0"
        assert second.split()[0] == "1"
        assert first.endswith("usable")

    def test_as_json(self, folder: Path) -> None:
        result = mien("faces", "-", "--json", input=(folder / "pair.png").read_bytes())
        answer = json.loads(result.stdout)
        assert (answer["width"], answer["height"]) == (800, 600)
        areas = []
        for index, face in enumerate(answer["faces"]):
            x0, y0, x1, y1 = face["box"]
            areas.append((x1 - x0) * (y1 - y0))
            assert face["index"] == index
            assert face["usable"] is True
            assert face["problem"] is None
            assert 0.5 < face["score"] <= 1
            assert abs(face["yaw"]) < 20
        assert len(areas) == 2
        assert areas == sorted(areas, reverse=True)

    def test_annotates(self, folder: Path, tmp_path: Path) -> None:
        result = mien("faces", folder / "pair.png", "--annotate", tmp_path / "boxes.png")
        assert len(result.stdout.splitlines()) == 2
        before, after = pixels(folder / "pair.png"), pixels(tmp_path / "boxes.png")
        assert after.shape == before.shape
        box = FaceSwapper().detect(before)[0].box
        left, middle = round(box[0]), round((box[1] + box[3]) / 2)
        assert (after[middle, left] != before[middle, left]).any()
        assert (after[middle, left + 20] == before[middle, left + 20]).all()

    def test_annotates_to_standard_output_in_place_of_the_table(self, folder: Path) -> None:
        result = mien("faces", folder / "pair.png", "--annotate", "-")
        assert pixels(result.stdout_bytes).shape == (600, 800, 3)
        assert mien("faces", folder / "pair.png", "--annotate", "-", "--json").exit_code == 2

    def test_none_is_no_error(self, folder: Path) -> None:
        assert mien("faces", folder / "wall.png").stdout == "No face was found.\n"
        assert json.loads(mien("faces", folder / "wall.png", "--json").stdout)["faces"] == []

    def test_a_picture_that_cannot_be_read(self, folder: Path) -> None:
        result = mien("faces", folder / "missing.png")
        assert result.exit_code == 3
        one_line(result)


class TestProcess:
    def test_binary_streams_of_a_real_process(self, folder: Path) -> None:
        finished = subprocess.run(
            [sys.executable, "-m", "mien.cli", "swap", "-", str(folder / "face.jpg"), "-o", "-"],
            input=(folder / "target.jpg").read_bytes(),
            capture_output=True,
            timeout=60,
        )
        assert finished.returncode == 0
        assert finished.stderr == b""  # no progress where nobody watches
        assert pixels(finished.stdout).shape == pixels(folder / "target.jpg").shape

    def test_a_terminal_sees_the_steps(self, folder: Path, tmp_path: Path) -> None:
        ours, theirs = pty.openpty()
        output = str(tmp_path / "result.png")
        command = ["swap", str(folder / "target.jpg"), str(folder / "face.jpg"), "-o", output]
        finished = subprocess.run([sys.executable, "-m", "mien.cli", *command], stderr=theirs, timeout=60)
        os.close(theirs)
        seen = os.read(ours, 65536).decode()
        os.close(ours)
        assert finished.returncode == 0
        assert seen.index("detecting …") < seen.index("blending …") < seen.index("encoding …")
        assert seen.endswith("\r\x1b[K")

    def test_help_needs_nothing_of_the_service(self) -> None:
        script = (
            "import sys; from mien.cli import main; main(['--help'], standalone_mode=False);"
            "print({'fastapi', 'sqlalchemy', 'httpx', 'PIL', 'mien.images.codec'} & set(sys.modules))"
        )
        finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
        assert finished.stdout.splitlines()[-1] == "set()"


class TestManual:
    @pytest.mark.parametrize("command", ["swap", "faces"])
    def test_names_every_option(self, command: str) -> None:
        manual = Path("docs/cli.md").read_text()
        for parameter in main.commands[command].params:
            for name in [*parameter.opts, *parameter.secondary_opts]:
                assert name in manual or name.upper() in manual

    def test_and_help_agree_on_the_exit_codes(self) -> None:
        manual = Path("docs/cli.md").read_text()
        for command in ([], ["swap"], ["faces"]):
            help_text = mien(*command, "--help").stdout
            for code in range(5):
                assert f"\n    {code}  " in help_text
                assert f"\n| {code} |" in manual
