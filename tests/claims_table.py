"""Which experiments test which claim, read from the experiments' source: ``python tests/claims_table.py``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from harness import claims

EXPERIMENTS = claims.FILE.parent


def experiments_by_claim(folder: Path = EXPERIMENTS) -> dict[str, list[str]]:
    """Claim id to the node ids of its experiments, in the files' order."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.glob("test_*.py")):
        for function in ast.parse(file.read_text()).body:
            if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
                for id_ in dict.fromkeys(_claims(function)):
                    found.setdefault(id_, []).append(f"{file.name}::{function.name}")
    return found


def _claims(function: ast.FunctionDef) -> Iterator[str]:
    """The ids in ``pytest.mark.claim(id=…)`` anywhere in the function's decorators."""
    for decorator in function.decorator_list:
        for node in ast.walk(decorator):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "claim"
            ):
                yield from (str(ast.literal_eval(keyword.value)) for keyword in node.keywords)


def table() -> str:
    """The page ``docs/claims.md``."""
    tested = experiments_by_claim()
    rows = []
    for claim in claims.read().values():
        tests = "<br>".join(f"`{test}`" for test in tested[claim.id])
        rows.append(f"| {claim.id} | {claim.claim} | {tests} | {claim.source} |")
    head = [
        "# Claims and where each is tested",
        "",
        "Made by `python tests/claims_table.py > docs/claims.md`; the tests compare it with the experiments.",
        "",
        "| id | claim | experiments | source |",
        "|---|---|---|---|",
    ]
    return "\n".join(head + rows) + "\n"


if __name__ == "__main__":
    print(table(), end="")
