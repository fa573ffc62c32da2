"""What packs, codes and explanations say is said in the words that engineers of these runtimes use."""

from __future__ import annotations

import re

import pytest
from accelint.rules.explain import explanation
from accelint.rules.folders import pack_folders
from accelint.rules.outline import Outline, read_codes
from accelint.rules.wording import predicate_words, say

INSTEAD = {
    r"\b(is|are|was|were) (not )?taken\b(?! (out|with|for))": "supported",
    r"\btakes? (only |up to |at most )?\{limit\}": "supported: {limit}",
    r"\{limit\} (is|are) taken": "supported: {limit}",
    r"\basks? that\b": "supported",
    r"\b(open|fixed) (sizes?|shapes?)\b": "dynamic or static shape",
    r"\b(sizes?|shapes?) (is|are) open\b": "dynamic",
    r"\bhand(s|ed)? over\b": "assigned to",
    r"\bsession (stops|refuses)\b|\bstops the session\b": "session creation fails",
    r"\b[Rr]efuses? (the|whole|models)\b": "fails to load, compile or run",
    r"\bVela (stops|dies)\b": "fails to compile, crashes",
    r"\bcannot be composed\b|\bis not composed\b": "fails to compile",
    r"\bnobody\b|\bnot asked\b|\bwas asked\b|\bwere asked\b": "unknown, not measured",
    r"\bintegers as such\b": "quantized",
    r"\b(its|a|this) group\b": "partition",
    r"\bunfolds?\b": "inlines",
    r"\bheld against\b": "compared with",
    r"\bdoes not convert\b|\bAccelerated means\b": "is not convertible",
    r"\bT T \b": "an attribute's name once",
}


def wrong(text: str) -> list[str]:
    return [f"{text!r}: say {words!r}" for pattern, words in INSTEAD.items() if re.search(pattern, text)]


@pytest.mark.parametrize("target", list(pack_folders()))
def test_of_a_pack(target: str) -> None:
    """Quotes of sources stay as they are: only what the packs say in their own words is looked at."""
    pack = Outline(target)
    texts = [str(pack.head.get(key, "")) for key in ("title", "notes", "runs_here")]
    texts += [str(item.get("note", "")) for item in pack.supports()]
    for rule in pack.rules():
        reason = [] if "quote" in rule else [rule["reason"]]
        texts += [str(rule.get(key, "")) for key in ("message", "advice")] + reason
        texts += [say(table) for key in ("when", "require") for table in rule.get(key, ())]
    assert not [found for text in texts for found in wrong(text)]


def test_of_codes_and_predicates() -> None:
    texts = [text for entry in read_codes().values() for text in entry.values()]
    assert not [found for text in (*texts, *predicate_words().values()) for found in wrong(text)]


@pytest.mark.parametrize("what", ["ACL601", "Conv", "Gemm", "input-0-not-bool"])
def test_of_explanations(what: str) -> None:
    text = explanation(what, "onnxruntime/cpu" if what.startswith("input") else None, {})
    quotes = re.compile(r"^ *reason: .*$", re.MULTILINE)
    assert not wrong(quotes.sub("", text))
    assert "supported" in text or what == "ACL601"


@pytest.mark.parametrize(
    "text", ["{seen}: {limit} is taken", "the session stops", "nobody measured it", "with fixed sizes"]
)
def test_a_wrong_word_is_seen(text: str) -> None:
    assert wrong(text)
