"""A shell script by which a person starts what differs once more, without the lab, and looks at it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from harness.equivalence import probe
from harness.equivalence.serving import OPEN_FILES
from harness.equivalence.starter import CGROUP, FILE, PIPE, REPORT, TERMINAL

_HEAD = """\
#!/bin/sh
# Starts one description with two isolators, as {who}, and shows how the worlds of what they start differ.
# usage: sh SCRIPT {isolators}
# `nslab isolators FOLDER` makes the isolators: FOLDER/{one}/isolate, FOLDER/{other}/isolate.
"""

_FILES = """\
ulimit -S -n {open_files}
umask 022
mkdir {scratch} && cd {scratch} || exit
trap 'cd / && rm -rf {scratch}' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p root/inner
mkdir -m 0 closed
# The program that is started: it sleeps.
printf '{program}' >probe
cp probe root/probe
echo 'no program' >plain
printf '\\177ELF garbage' >garbage
echo '#!/no/interpreter' >lost
chmod 755 probe root/probe garbage lost
mkfifo told
cat >description.json <<'END'
{description}
END
chown -R {user}:{user} .
"""

_STARTS = """\
terminal=$(tty) || terminal=/dev/null
group=$(findmnt -nt cgroup2 -o TARGET | head -n 1)$(sed -n 's/^0:://p' /proc/self/cgroup)
[ -d "$group" ] || group=.
number=0
look() {{ # PROGRAM ISOLATOR
    cd "/proc/$1" || return
    grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Sig[BIC])' status
    sed -n 's/^NStgid:.[0-9]*/its PIDs inside:/p' status
    for each in ns/*; do
        [ "$(readlink "$each")" = "$(readlink "/proc/$$/$each")" ] && echo "$each: same" || echo "$each: new"
    done
    job=$(sed 's/.*) . //' stat | cut -d ' ' -f 1-5 | sed "s/\\b$1\\b/PROGRAM/g; s/\\b$2\\b/ISOLATOR/g")
    echo "parent, group, session, terminal, foreground: $job"
    grep . uid_map gid_map setgroups cgroup mountinfo limits
    ls -l cwd root fd | sed 's/.* \\([^ ]* ->\\)/\\1/'
    tr '\\0' '\\n' <environ
    tr '\\0' '\\n' <cmdline
}}
for isolate in "$1" "$2"; do
    number=$((number + 1))
    {prefix}"$isolate" --description description.json --report {report} \\
        <{stdin} >/dev/null {file}<plain {pipe}>/dev/null \\
        {terminal}<>"$terminal" {cgroup}<"$group" {report}>told &
    line=$(timeout 10 head -n 1 told)
    pid=$(expr "$line" : '.*"Pid":\\([0-9]*\\)')
    {{
        echo "$line" | sed 's/"Pid":[0-9]*/"Pid":N/'
        if [ "$pid" ]; then
            until grep -q '^{sleeps} ' "/proc/$pid/syscall" || ! kill -0 "$pid"; do :; done
            (look "$pid" $!) 2>&1
            kill -9 "$pid"
        fi
    }} >"world-$number"
    wait
done
diff -U 0 world-* && echo 'no difference'
"""


def script(
    trial: Mapping[str, Any], scratch: str, names: tuple[str, str], lines: Iterable[str] = (), user: int = 0
) -> str:
    """The script for a trial, with the files of its description in ``scratch``.

    Its arguments are the isolators' commands; ``lines`` tell what differed, and ``user`` who started them.
    """
    one, other = names
    head = _HEAD.format(
        who=f"user {user}" if user else "root",
        isolators=" ".join(f"ISOLATE-OF-{name.upper()}" for name in names),
        one=one,
        other=other,
    )
    files = _FILES.format(
        open_files=OPEN_FILES,
        scratch=shlex.quote(scratch),
        program="".join(f"\\{byte:03o}" for byte in probe.program()),
        description=json.dumps(trial["description"], indent=2),
        user=user,
    )
    starts = _STARTS.format(
        prefix=_prefix(trial, user),
        report=REPORT,
        file=FILE,
        pipe=PIPE,
        terminal=TERMINAL,
        cgroup=CGROUP,
        stdin='"$terminal"' if trial["terminal"] else "/dev/null",
        sleeps=probe.SLEEPS,
    )
    seen = "".join(f"# {line}\n" for text in lines for line in text.splitlines())
    return f"{head}{f'# What differed ({one} | {other}):{chr(10)}' if seen else ''}{seen}{files}{starts}"


def _prefix(trial: Mapping[str, Any], user: int) -> str:
    """The commands behind which an isolator is as the search has it, but for its standard input."""
    prefix = "setsid --wait "
    if trial["terminal"]:
        # The terminal is no longer the caller's: within script(1) it is one of its own.
        prefix += """--ctty sh -c 'exec "$@" </dev/null' sh """
    if user:
        prefix += f"setpriv --reuid={user} --regid={user} --clear-groups "
    elif trial["without"]:
        prefix += f"setpriv --bounding-set={','.join(f'-cap_{number}' for number in trial['without'])} "
    # A shell lets what it starts in the background ignore these two.
    signals = ["--default-signal=INT,QUIT"]
    for word, past in (("ignore", "ignored"), ("block", "blocked")):
        if trial[past]:
            signals.append(f"--{word}-signal={','.join(map(str, trial[past]))}")
    return f"{prefix}env {' '.join(signals)} "
