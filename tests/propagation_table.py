"""The page ``docs/propagation.md``: which experiment tells each situation that others have described.

python tests/propagation_table.py > docs/propagation.md
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from harness.search.promised import Left, Promises

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
TYPES = ("shared", "private", "slave", "uncloneable")
TABLES = "test_propagation_tables.py"
CELL = f"{TABLES}::test_type_of_source_and_parent_decide_what_becomes_of_a_mount"
CHILD = f"{TABLES}::test_each_mount_of_a_tree_is_bound_as_if_alone"
CLONE = f"{TABLES}::test_clone_keeps_types_or_makes_slaves"
SITUATIONS = {
    "test_propagation_situations.py": "test_situation_leaves_these_tables",
    "test_propagation_sides.py": "test_situation_leaves_these_tables_on_all_sides",
}
"""The experiment with the situations of each file."""
RULES = {
    "test_propagation_umount.py": "test_umount_takes_along_what_nothing_holds",
    "test_propagation_locks.py": "test_mounts_of_another_owner_are_locked_together",
    "test_propagation_places.py": "test_mounts_lie_where_the_pages_say",
}
"""The same of what rules say that nobody else has described by a situation."""

# fs_bind numbers the children of a tree in this order: type of child, type of parent. The title of the script
# with a private child on an uncloneable parent says otherwise; what it does counts.
CHILDREN = (
    *(("shared", parent) for parent in TYPES),
    ("private", "shared"),
    ("private", "slave"),
    ("private", "private"),
    ("private", "uncloneable"),
    *(("slave", parent) for parent in TYPES),
    *(("uncloneable", parent) for parent in TYPES),
)

_COVERED = "a slave is covered as its master is, and what is mounted on it then stays on it"
_CHAIN = "mounts on a chain of slaves travel down, and not up"
_ENDS = "on a shared mount bound onto what is {}, mounts at each of its three ends"
_QUIZ_C = "quiz C: a mount passes over a group that lacks the place to the group below"
OTHERS = {
    "fs_bind07-2": _COVERED,
    "fs_bind17": _ENDS.format("shared"),
    "fs_bind18": _ENDS.format("private"),
    "fs_bind19": _ENDS.format("a slave"),
    "fs_bind20": _ENDS.format("unbindable"),
    "fs_bind21": _CHAIN,
    "fs_bind22": "a root bound to its own child: mounts and umounts on either",
    "fs_bind23": "a private tree with shared children is moved onto a shared mount that has a peer",
    "fs_bind24": _QUIZ_C,
    "fs_bind_regression, 1": "a private mount is bound",
    "fs_bind_regression, 2": "a private tree is rbound",
    "fs_bind_regression, 3": "a private tree is moved",
    "fs_bind_move17": "a mount on a shared parent can't be moved",
    "fs_bind_move18": "a private tree is moved with its shared child",
    "fs_bind_move19": "a private tree is moved with its slave child",
    "fs_bind_move20": "a private tree is moved with its unbindable child",
    "fs_bind_move21": "a mount is moved into the tree bound from it: mounts and an umount there",
    "fs_bind_move22": "the tree into which a mount was moved is moved onto a shared mount that has a peer",
    "fs_bind_move22, its end": "the moved tree's innermost copy is unmounted, and with it every other",
    "fs_bind_rbind07-2": _COVERED,
    "fs_bind_rbind33": _CHAIN,
    "fs_bind_rbind34": "a tree rbound to its own child, whose child is shared: umounts and a mount",
    "fs_bind_rbind35": "a tree rbound to its own child, whose child is private: umounts and a mount",
    "fs_bind_rbind36": "a tree rbound to its own child, whose child is unbindable: an umount and a mount",
    "fs_bind_rbind37": "a private tree is rbound with its shared child",
    "fs_bind_rbind38": "a private tree is rbound with its slave child",
    "fs_bind_rbind39": "a private tree is rbound without its unbindable child",
    "fs_bind_cloneNS01": "peers in a copied namespace: a mount from either side",
    "fs_bind_cloneNS02": (
        "a master and its slave in a copied namespace: mounts and an umount from either side"
    ),
    "fs_bind_cloneNS04": "private mounts in a copied namespace: a mount on either side",
    "fs_bind_cloneNS05": (
        "a tree rbound to its own child, in a copied namespace: mounts and an umount from either side"
    ),
    "fs_bind_cloneNS06": "mounts on a chain of slaves, in a copied namespace: from either side",
    "fs_bind_cloneNS07": (
        "a mount moved into the tree bound from it, in a copied namespace: from either side"
    ),
    "sharedsubtree.rst, quiz A": "quiz A: a mount moved into its own peer appears on itself, once",
    "sharedsubtree.rst, quiz B": "quiz B: what is below a shared root rbound into it is there once",
    "sharedsubtree.rst, quiz C": _QUIZ_C,
}
"""Scripts and quizzes told by a situation of its own, by what they do."""

INTRODUCTION = """\
# Mount propagation: what is tested where

Made by `python tests/propagation_table.py > docs/propagation.md`; the tests compare it with the experiments.

`harness/propagation/` is the reference model: what sharedsubtree.rst, propagate_umount.txt and
mount_namespaces(7) promise, as pure functions.

- `experiments/test_propagation_tables.py`: every cell of every table, with the mount tables of both sides.
- `experiments/test_propagation_situations.py`, `…_sides.py`: the other situations below, in the same manner,
  by what LTP's scripts do, which some of their titles don't tell. They look at directory listings.
- `experiments/test_propagation_umount.py`, `…_locks.py`, `…_places.py`: the rules beyond the tables, each in
  the same manner: umount, locks, where a mount comes to lie.
- `experiments/test_propagation_search.py`: random programs in up to four namespaces, compared after every
  step. What differs is made as short as it can be, printed as a shell script that runs without nslab, and
  drawn in the report: the trees of mounts before and after, with their peer groups.
  `--hypothesis-profile=soak` lets it go on for 100,000 programs, `--search-for=8h` for as long as that.
  Programs hold no umount of `/`: of a process's own root the kernel makes the file system read-only.
- `experiments/test_propagation_regressions.py`: the shortest program of each difference that was found and is
  understood, by name.
- `experiments/test_propagation_differential.py`, with `--differential` and two or more hosts
  (`--kernels=6.12,7.3 --differential`, `--kernels=7.3,local`, `--hosts`): the same programs on two hosts at
  once, each host beside the next one, with no model to say who is right.

The scripts need root, a shell and util-linux (2.36, 2.38 and 2.41 do), those of `--differential` Python
too. Their steps are done in namespaces whose first mount is a tmpfs, the root directory of the process that
holds each, as in the search: what covers it is not crossed. `tests/test_search_script.py` holds them
against the programs. One thing they can't do: unshare(1) is executed in that first mount, so it fails where
that was made `noexec`; they say so there.

A kernel's deviation is an entry of `experiments/known_differences.toml` and a switch of the model with the
same id: the search goes on behind it, also where the file does not know it of this build. Then the experiment
fails with every disagreement that was found. The model itself is never weakened. Before 6.17 one umount may
put several mounts at one place (`two-covers`, `cover-shifts`): which of them is seen hangs on the order of
the kernel's lists, of which no page tells; so a program ends there, and its last tables are still compared.

## Searches: how long, by which chance, and what is kept

```sh
pytest experiments/test_propagation_search.py                                # 150 programs, always the same
pytest experiments/test_propagation_search.py --hypothesis-profile=search    # 3,000, other ones each time
pytest experiments/test_propagation_search.py --hypothesis-profile=soak      # 100,000
pytest experiments/test_propagation_search.py --hypothesis-profile=soak --search-for=8h   # or 90s, 30m, 2d
pytest experiments/test_propagation_search.py --hypothesis-profile=search --hypothesis-seed=3141
```

`--search-for` is the time of each search, of which there is one for each host (or two of them), whatever the
profile says. The record of a search, and the message where one fails, tell the seed by which the same
programs are drawn again.

What a search finds is kept where hypothesis keeps its examples, `.hypothesis/examples` below pytest's root
directory (or below `$HYPOTHESIS_STORAGE_DIRECTORY`), for each kernel's release, in every profile. The next
search tries it first, and forgets it where it tells nothing any more. Nothing else is kept there. Where that
folder can't be written, the message says so.

## Two kernels without a model

Programs also hold operations that the model has no notion of; mountinfo's own options are compared too.

| operation | what it does |
|---|---|
| `tree`, `tree-r` | copies a mount, or a tree, into a tree in no namespace: open_tree(2), OPEN_TREE_CLONE |
| `attach` | mounts such a tree, or moves it where it is mounted already: move_mount(2) |
| `mount-`, `move-`, `attach-beneath` | puts it beneath the uppermost mount there: MOVE_MOUNT_BENEATH |
| `set-group` | hands a peer group on: MOVE_MOUNT_SET_GROUP |
| `setattr`, `setattr-r` | changes attributes and propagation, also of such trees: mount_setattr(2) |
| `remount` | gives a mount just these attributes; a less privileged namespace meets locked ones |
| `open`, `write`, `cwd` | keeps a mount busy: a directory or file that is open, a working directory |
| `chroot` | one more reader of the mount table, whose root directory it is |
| `let-go` | ends what keeps mounts busy |

After each step its error and all tables are compared, and what differs is made as short as it can be. Why two
kernels differ is known where

- both do at each step what the model does with the differences that each is known to have;
- a `[[change]]` of `experiments/known_differences.toml` has the step among its `steps`: the older of the two
  kernels answers so, because it lacks what came later. `differential.mount-beneath` is what a step of that
  kind answered (`done` or an error's name). Where the change says `unless = "close"`, both must do the same
  once all trees in no namespace are let go just before the step (what it attaches itself is copied anew);
  else it is not the reason.

Steps that are known to differ are left out and the rest runs again, so that the search goes on behind them.
The record tells what was met how often.

## Situations that others have described

| described as | situation | experiment |
|---|---|---|
"""

BEYOND = """
## Rules beyond the tables

| situation | experiment |
|---|---|
"""


def rows() -> Iterator[tuple[str, str, str]]:
    """For each script or quiz: its name, the situation, the experiment that tells it."""
    for operation, name in (("bind", "fs_bind"), ("rbind", "fs_bind_rbind"), ("move", "fs_bind_move")):
        for number, (source, parent) in enumerate(((s, p) for s in TYPES for p in TYPES), 1):
            yield f"{name}{number:02}", f"{operation}: {source} onto {parent}", f"{CELL}[…{operation}]"
    for number, (child, parent) in enumerate(CHILDREN, 17):
        yield f"fs_bind_rbind{number}", f"rbind of a shared tree with {child} child onto {parent}", CHILD
    yield "fs_bind_cloneNS03", "clone: uncloneable", f"{CLONE}[…same]"
    for name, situation in OTHERS.items():
        yield name, situation, experiment(situation)


@cache
def promises(file: str) -> Promises[Left]:
    """The programs of a file of experiments, and what they leave."""
    told: Promises[Left] = runpy.run_path(str(EXPERIMENTS / file))["PROMISES"]
    return told


def experiment(situation: str) -> str:
    """The experiment in which a situation is.

    Raises:
        StopIteration: in none.
    """
    return next(f"{file}::{test}" for file, test in SITUATIONS.items() if situation in promises(file))


def table() -> str:
    """The page."""
    lines = (f"| {name} | {what} | `{test}` |\n" for name, what, test in rows())
    rules = (
        f"| {situation} | `{file}::{test}` |\n"
        for file, test in RULES.items()
        for situation in promises(file)
    )
    return "".join((INTRODUCTION, *lines, BEYOND, *rules))


if __name__ == "__main__":
    print(table(), end="")
