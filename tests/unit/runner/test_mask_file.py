"""Values that a job names by itself: masked from then on, whatever stands in the file."""

import asyncio
import json
import os

import pytest

from runpass.protocol.reports import LogLevel
from runpass.runner.cell import Owner
from runpass.runner.mask_file import MOST_TOLD, MaskFile
from runpass.runner.masking import Mask
from runpass.runner.named_values import MOST_BYTES, MOST_VALUES
from runpass.runner.output import pump
from runpass.runner.workspace import MASK_NAME
from runpass.secret import Secret


class Scene:
    def __init__(self, tmp, owner=None):
        self.path = tmp / MASK_NAME
        self.mask = Mask()
        self.said = []
        self.file = MaskFile(os.open(tmp, os.O_RDONLY | os.O_DIRECTORY), owner, self.mask, self.say)
        self.mask.look_at(self.file.look)

    async def say(self, sentence):
        self.said.append(sentence)

    def look(self):
        asyncio.run(self.mask.refresh())

    def append(self, text):
        with self.path.open("a") as file:
            file.write(text)
        self.look()


@pytest.fixture
def scene(tmp_path):
    scene = Scene(tmp_path)
    yield scene
    scene.file.close()


def test_each_line_is_a_value_that_is_masked_from_then_on(scene):
    scene.look()
    scene.append("first-fetched\nsecond-fetched\r\n")
    assert scene.mask.text("first-fetched second-fetched third-fetched") == "*** *** third-fetched"
    scene.append("third-fetched\n")
    assert scene.mask.text("first-fetched third-fetched") == "*** ***"
    assert scene.said == []


def test_a_json_string_is_a_value_of_several_lines(scene):
    key = "line one of the key\nline two of the key\n"
    scene.append(json.dumps(key) + "\n")
    assert scene.mask.text(key) == "***"
    assert scene.mask.text("x line two of the key") == "x ***"


def test_what_only_looks_like_json_is_taken_as_it_is(scene):
    scene.append('"quoted and open\n"\\ud800-half"\n{"json": "leaf-of-it"}\n')
    assert scene.mask.text('"quoted and open leaf-of-it') == "*** ***"


def test_a_value_counts_before_its_newline_has_come(scene):
    scene.append("first-fetched")
    assert scene.mask.text("first-fetched") == "***"


def test_a_secret_of_the_file_is_known_by_its_line_alone(scene):
    scene.append("# a comment\nfirst-fetched\n")
    masker = scene.mask.masker()
    masker.feed(b"first-fetched ")
    assert masker.take_seen() == {"RUNPASS_MASK_FILE, line 2"}


def test_what_is_not_masked_is_told_once_and_by_its_line(scene):
    scene.append("1234\nfirst-fetched\nproduction\n\nshor")
    scene.append("t\n")
    assert scene.said == [
        f"WARNING: RUNPASS_MASK_FILE is not masked in its line {line}: too short, too common, or not UTF-8."
        for line in (1, 3, 5)
    ]


def test_a_line_that_is_not_utf_8_is_told_and_the_others_count(scene):
    scene.path.write_bytes(b"\xff\xfe-binary\nfirst-fetched\n")
    scene.look()
    assert scene.mask.text("first-fetched") == "***"
    assert len(scene.said) == 1


def test_a_file_that_is_replaced_or_shortened_is_read_again_and_nothing_is_forgotten(scene, tmp_path):
    scene.append("first-fetched\n")
    other = tmp_path / "other"
    other.write_text("other-fetched\n")
    other.rename(scene.path)
    scene.look()
    assert scene.mask.text("first-fetched other-fetched") == "*** ***"
    scene.path.write_text("")
    scene.look()
    assert scene.mask.text("first-fetched") == "***"


def test_only_a_plain_file_of_the_runs_own_is_read(scene, tmp_path):
    secret = tmp_path / "of-somebody-else"
    secret.write_text("not-to-be-read\n")
    scene.path.symlink_to(secret)
    scene.look()
    scene.path.unlink()
    os.mkfifo(scene.path)
    scene.look()
    scene.path.unlink()
    os.link(secret, scene.path)
    scene.look()
    assert scene.mask.text("not-to-be-read") == "not-to-be-read"
    assert scene.said == ["WARNING: RUNPASS_MASK_FILE is not a plain file of the run's own: nothing in it is masked."]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as several users")
def test_a_file_of_another_user_is_not_read(tmp_path):
    scene = Scene(tmp_path, Owner(234567, 234567))
    scene.append("first-fetched\n")
    assert scene.mask.text("first-fetched") == "first-fetched"
    os.chown(scene.path, 234567, 234567)
    scene.look()
    assert scene.mask.text("first-fetched") == "***"
    scene.file.close()


def test_a_file_that_is_too_large_counts_as_far_as_it_may(scene):
    scene.append("first-fetched\n" + "x" * MOST_BYTES + "\nbeyond-the-limit\n")
    assert scene.mask.text("first-fetched beyond-the-limit") == "*** beyond-the-limit"
    assert "larger than 65536 bytes" in scene.said[0]


def test_so_many_values_count_and_no_more(scene):
    scene.append("".join(f"fetched-{number:05}\n" for number in range(MOST_VALUES + 1)))
    assert scene.mask.text(f"fetched-00000 fetched-{MOST_VALUES:05}") == f"*** fetched-{MOST_VALUES:05}"
    assert "more than 500 values" in scene.said[0]


def test_of_many_lines_that_are_not_masked_some_are_told(scene):
    scene.append("1\n" * 100)
    assert len(scene.said) == MOST_TOLD


def test_a_closed_file_is_not_looked_at(tmp_path):
    scene = Scene(tmp_path)
    scene.append("first-fetched\n")
    scene.file.close()
    scene.file.close()
    scene.append("other-fetched\n")
    assert scene.mask.text("first-fetched other-fetched") == "*** other-fetched"


class Reporter:
    def __init__(self):
        self.lines, self.leaks, self.after = [], [], []

    async def log(self, _step, _level, message):
        self.lines.append(message)

    async def leak(self, step, secret):
        self.leaks.append((step, secret))
        self.after.append(len(self.lines))


def test_what_was_named_before_it_was_printed_is_masked_in_both_streams(tmp_path):
    async def story():
        scene, reporter = Scene(tmp_path), Reporter()
        streams = [asyncio.StreamReader(), asyncio.StreamReader()]
        pumps = [asyncio.create_task(pump(s, scene.mask, reporter, "shell:1", LogLevel.INFO)) for s in streams]
        for number in range(20):
            with scene.path.open("a") as file:
                file.write(f"fetched-{number:03}\n")
            for stream in streams:
                stream.feed_data(f"got fetched-{number:03}\n".encode())
            await asyncio.sleep(0)
        for stream in streams:
            stream.feed_eof()
        await asyncio.gather(*pumps)
        scene.file.close()
        return reporter

    reporter = asyncio.run(story())
    assert reporter.lines == ["got ***"] * 40
    assert ("shell:1", "RUNPASS_MASK_FILE, line 20") in reporter.leaks


def test_a_name_that_is_itself_a_secret_is_masked_too():
    async def story():
        mask, reporter, stream = Mask(), Reporter(), asyncio.StreamReader()
        mask.add({"hunter2-horse": Secret("hunter2-horse")})
        stream.feed_data(b"hunter2-horse\n")
        stream.feed_eof()
        await pump(stream, mask, reporter, "shell:1", LogLevel.INFO)
        return reporter

    reporter = asyncio.run(story())
    assert reporter.leaks == [("shell:1", "***")]
    assert (reporter.lines, reporter.after) == (["***"], [0]), "the last line of a step stays the last one"


def test_a_file_that_is_written_anew_again_and_again_fills_no_memory(scene):
    for batch in range(4):
        scene.path.write_text("".join(f"secret-{batch}-{number:04}\n" for number in range(MOST_VALUES // 2)))
        scene.look()
    assert scene.mask.text("secret-0-0000 secret-1-0249") == "*** ***"
    assert scene.mask.text("secret-2-0000") == "secret-2-0000"
    assert any("the rest is not masked" in sentence for sentence in scene.said)
