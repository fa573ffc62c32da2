"""`accelint check` against ONNX Runtime at its default optimization level, over folders of
models.

    python tools/conformance/default_level.py onnxruntime/qnn:sm8650 FOLDER ...

Counts models whose verdict in kind (full, partial, none, rejected) is the runtime's, and whose partition
count is.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> int:
    from accelint.analyzer.check.run import check
    from accelint.analyzer.flows.optimized import check_at
    from accelint.analyzer.formats import load
    from accelint.analyzer.runtimes import Request, Session
    from accelint.rules.registry import choose

    target, folders = sys.argv[1], sys.argv[2:]
    chosen = choose(target)
    rows = []
    with Session(target, timeout=240) as session:
        for file in sorted(path for folder in folders for path in Path(folder).glob("*.onnx")):
            model = load(file)
            stored, optimized = check(model, chosen), check_at(model, chosen)
            answer = session.ask(Request(file, options={"optimize": "default"}))
            actual = kind(answer), answer.partitions or 0
            rows.append(
                (
                    actual,
                    (stored.verdict, len(stored.partitions)),
                    (optimized.verdict, len(optimized.partitions)),
                )
            )
            if actual != rows[-1][2]:
                print(
                    f"{file.name}: {actual[0]} in {actual[1]}, predicted {optimized.verdict} "
                    f"in {len(optimized.partitions)}"
                )
    for name, place in (("as stored", 1), ("default level", 2)):
        kinds = sum(row[0][0] == row[place][0] for row in rows)
        counts = sum(row[0] == row[place] for row in rows)
        print(f"{name}: verdict of {kinds} of {len(rows)} models, partitions of {counts}")
    return 0


def kind(answer: object) -> str:
    """The verdict that the runtime's placement amounts to."""
    status = getattr(answer, "status", "")
    if status in ("refused", "crashed"):
        return "rejected"
    devices = {item.device for item in getattr(answer, "placement", ())} - {"folded", "unmapped"}
    if "accelerator" not in devices:
        return "none"
    return "partial" if "cpu" in devices else "full"


if __name__ == "__main__":
    sys.exit(main())
