"""A pack may come from anybody: everything wrong with it is said at once, nothing outside of it is read, and
no cache that somebody else could write is believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from accelint.analyzer.errors import PackError
from accelint.rules.loader import read_pack

import accelint

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "fixtures" / "onnx" / "conv_relu.onnx"
HEAD = """
[pack]
target = "mine/here"
dialect = "onnx"
runtime = "mine"
version = "1"
default = "fallback"
policy = "consecutive"
[source.me]
url = "x"
version = "1"
[[support]]
ops = ["Conv", "Relu"]
source = "me"
"""
RULE = """
[[rule]]
id = "ACL503"
name = "of-mine"
ops = ["Conv"]
message = "{message}"
source = "me"
reason = "because"
require = [{{ input = 0, of = "rank", eq = 9 }}]
examples.holds = [{{ in = ["float32[1,2,3]"] }}]
examples.fails = [{{ in = ["float32[1,2,3]"] }}]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def check(pack: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "accelint", "check", str(MODEL), "-t", "mine/here", "--pack", str(pack)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def problems(folder: Path, text: str) -> str:
    with pytest.raises(PackError) as caught:
        read_pack(write(folder, text))
    return caught.value.message


def test_the_pack_of_these_tests_is_good(tmp_path: Path) -> None:
    pack = read_pack(write(tmp_path, HEAD + RULE.format(message="seen {seen}, {kernel_shape}")))
    assert [rule.name for rule in pack.rules] == ["of-mine"]


def test_every_problem_at_once(tmp_path: Path) -> None:
    text = HEAD.replace('runtime = "mine"', "runtime = 5").replace('dialect = "onnx"', "dialect = []")
    text = text.replace(
        'policy = "consecutive"',
        'policy = "consecutive"\npredicates = [5]\npolicy_options = { min_nodes = 1.5 }',
    )
    text += '[variant]\na = { min_nodes = inf }\nb = 7\n[[rule]]\nid = 1\nops = "Conv"\nwhen = 5\nother = 1\n'
    message = problems(tmp_path, text)
    for part in (
        "pack.runtime: is 5", "pack.dialect", "pack.predicates", "pack.policy_options.min_nodes: is 1.5",
        "variant.b", "variant.a.min_nodes", ".id: is 1", ".ops", ".when", ".other: unknown key",
    ):  # fmt: skip
        assert part in message, message


@pytest.mark.parametrize(
    "message",
    ["{x.__class__}", "{0[a]}", "{seen[0]}", "{seen:>999999999}", "{seen!r}", "{}", "{0}", "{seen", "}"],
)
def test_a_message_names_values_and_nothing_of_them(tmp_path: Path, message: str) -> None:
    assert ".message" in problems(tmp_path, HEAD + RULE.format(message=message))


@pytest.mark.parametrize(
    "condition",
    [
        "5", '"x"', '{ input = {}, of = "rank", eq = 1 }', '{ input = 0, of = [], eq = 1 }',
        '{ input = 0, of = "rank", one_of = [] }', '{ input = 0, of = "rank", one_of = [[1]] }',
        '{ input = 0, of = "rank", between = [1, "x"] }', '{ input = 0, of = "rank", at_least = "x" }',
        '{ input = 0, of = "rank", same_as = { any_of = [] } }', '{ input = 0, of = "rank", eq = {} }',
        '{ input = 0, of = "rank", multiple_of = inf }', '{ attr = "x", index = "y", eq = nan }',
        "{ call = 5 }", '{ call = "os" }', "{ any_of = [1, 2] }", "{ any_of = [[], []] }",
        '{ any_of = [{ any_of = [] }, { op = "type", eq = "x" }] }',
    ],
)  # fmt: skip
def test_malformed_conditions(tmp_path: Path, condition: str) -> None:
    text = RULE.format(message="m").replace('{ input = 0, of = "rank", eq = 9 }', condition)
    assert "require" in problems(tmp_path, HEAD + text)


def test_arguments_of_predicates_are_checked(tmp_path: Path) -> None:
    head = HEAD.replace('policy = "consecutive"', 'policy = "consecutive"\npredicates = ["intel_npu"]')
    text = RULE.format(message="m").replace(
        '{ input = 0, of = "rank", eq = 9 }', '{ call = "graph_input_ranks", least = 1 }'
    )
    message = problems(tmp_path, head + text)
    assert "least is no argument of graph_input_ranks" in message
    assert "graph_input_ranks needs most" in message


@pytest.mark.parametrize("name", ["os", "..os", "..loader", "__init__", "a.b", "../x", ""])
def test_predicates_import_nothing_else(tmp_path: Path, name: str) -> None:
    before = set(sys.modules)
    text = HEAD.replace('policy = "consecutive"', f'policy = "consecutive"\npredicates = ["{name}"]')
    if name != "__init__":
        assert "predicates" in problems(tmp_path, text)
    assert not {item for item in set(sys.modules) - before if item in ("os", "antigravity")}


@pytest.mark.parametrize(
    "name",
    ["../../etc", "/etc", "..", ".", "", "litert_gpu/../litert_nnapi", "no_such", "a\\u0000b", "x" * 5000],
)
def test_extends_stays_inside(tmp_path: Path, name: str) -> None:
    assert "extends" in problems(tmp_path, f'[pack]\ntarget = "mine/here"\nextends = "{name}"\n')


def test_extends_follows_no_link_and_no_cycle(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "pack.toml").write_text(HEAD)
    home = tmp_path / "home"
    (home / "one").mkdir(parents=True)
    (home / "two").mkdir()
    (home / "link").symlink_to(outside)
    (home / "one" / "pack.toml").write_text('[pack]\ntarget = "a/one"\nextends = "two"\n')
    (home / "two" / "pack.toml").write_text('[pack]\ntarget = "a/two"\nextends = "one"\n')
    with pytest.raises(PackError, match="circle"):
        read_pack(home / "one", home)
    (home / "one" / "pack.toml").write_text('[pack]\ntarget = "a/one"\nextends = "link"\n')
    with pytest.raises(PackError, match="there is no pack 'link'"):
        read_pack(home / "one", home)


def test_size_and_depth(tmp_path: Path) -> None:
    dotted = "[pack]\n" + "a." * 50_000 + "a = 1\n"
    nested = "[pack]\na = " + "[" * 100_000 + "]" * 100_000 + "\n"
    for text, words in ((dotted, "parts"), (nested, "deep"), ("#" * (5 << 20), "MiB")):
        start = time.monotonic()
        message = problems(tmp_path, text)
        assert words in message
        assert time.monotonic() - start < 10
    dozen = HEAD + "[variant]\na = { x = " + "[" * 12 + "]" * 12 + " }\n"
    assert "variant.a.x" in problems(tmp_path, dozen)


def test_what_lies_beside_a_file_is_never_believed(tmp_path: Path) -> None:
    """A forged __pycache__ beside the pack, as accelint once kept it."""
    good = write(tmp_path, HEAD + RULE.format(message="rank {seen}"))
    honest = check(good)
    assert "of-mine" in honest.stdout
    state = good.stat()
    forged = {"stamp": [state.st_mtime_ns, state.st_size], "tables": {"pack": {}, "rule": []}}
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "mine.toml.json").write_text(json.dumps(forged))
    assert check(good).stdout == honest.stdout
    assert sorted(item.name for item in tmp_path.iterdir()) == ["__pycache__", "mine.toml"]


def test_the_cache_is_the_users_own(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    pack = write(tmp_path, HEAD + RULE.format(message="rank {seen}"))
    honest = check(pack, XDG_CACHE_HOME=str(cache)).stdout
    home = cache / "accelint" / "packs"
    assert home.stat().st_mode & 0o777 == 0o700
    key = hashlib.sha256(accelint.__version__.encode() + b"\0" + pack.read_bytes()).hexdigest()
    kept = home / f"{key}.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(kept.read_text())["pack"]["target"] == "mine/here"
    home.chmod(0o777)  # somebody else may have written here
    kept.write_text('{"pack": {}}')
    assert check(pack, XDG_CACHE_HOME=str(cache)).stdout == honest


def test_without_a_cache_folder(tmp_path: Path) -> None:
    pack = write(tmp_path, HEAD + RULE.format(message="rank {seen}"))
    (tmp_path / "file").write_text("")
    result = check(pack, XDG_CACHE_HOME=str(tmp_path / "file"))
    assert "of-mine" in result.stdout, result.stderr


def test_nothing_is_written_into_the_package(tmp_path: Path) -> None:
    stale = list((ROOT / "rules").rglob("__pycache__/*.toml.json"))
    for file in stale:
        file.unlink()
    check(write(tmp_path, HEAD), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert not list((ROOT / "rules").rglob("__pycache__/*.toml.json"))


@pytest.mark.parametrize(
    "policy",
    [
        "consecutive",
        "alternating",
        "litert",
        "coreml",
        "onnxruntime/kernel",
        "onnxruntime/compile",
        "openvino",
        "qnn",
        "os",
    ],
)
def test_options_that_a_policy_does_not_take(tmp_path: Path, policy: str) -> None:
    options = (
        'policy_options = { min_nodes = "none", max_partitions = "none", lone = "none", trivial = "none" }'
    )
    pack = write(tmp_path, HEAD.replace('policy = "consecutive"', f'policy = "{policy}"\n{options}'))
    result = check(pack)
    assert result.returncode in (0, 1, 2), result.stdout + result.stderr
    assert "internal error" not in result.stdout + result.stderr
