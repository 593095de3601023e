"""Does `lab` get what is missing as root, and name it otherwise?"""

import shlex
import shutil
import sys

from checkouts import Checkout

pytest_plugins = ["stand_ins"]


def test_ordinary_user_is_told_what_to_install(checkout: Checkout) -> None:
    """What is missing and the one command to install it are named once; only experiments are skipped."""
    (checkout.bin / "runc").unlink()
    (checkout.bin / "pstree").unlink()

    first = checkout.run("nslab")

    assert first.returncode == 0
    assert "missing: pstree runc\n" in first.stderr
    assert "sudo apt-get install -y --no-install-recommends psmisc runc\n" in first.stderr
    assert checkout.run("nslab").stderr == ""
    checkout.stub("runc", "exit 0")
    assert "missing: pstree\n" in checkout.run("nslab").stderr
    checkout.stub("pstree", "exit 0")
    assert checkout.run("nslab").stderr == ""
    assert checkout.stamp.read_text().endswith(f"{checkout.root}\n\n")
    assert checkout.did == ["venv", "pip"]


def test_dynamic_busybox_counts_as_missing(checkout: Checkout) -> None:
    """A container's root holds nothing beside busybox, so one that needs a loader does not do."""
    checkout.stub("busybox", "# /lib64/ld-linux-x86-64.so.2")

    result = checkout.run("nslab")

    assert "missing: busybox\n" in result.stderr
    assert "--no-install-recommends busybox-static\n" in result.stderr


def test_nothing_works_without_unshare(checkout: Checkout) -> None:
    """Without the tools that every experiment needs, lab stops before it makes anything."""
    (checkout.bin / "unshare").unlink()

    result = checkout.run("nslab")

    assert (result.returncode, result.stdout) == (2, "")
    assert "cannot go on without unshare\n" in result.stderr
    assert "sudo apt-get install -y --no-install-recommends util-linux\n" in result.stderr
    assert checkout.did == []


def test_root_gets_what_is_missing(checkout: Checkout) -> None:
    """Root's first call installs what is missing, and refreshes the package lists only when it must."""
    lists = checkout.root.parent / "lists"
    (checkout.bin / "runc").unlink()
    checkout.stub("id", "echo 0")
    checkout.stub(
        "apt-get",
        f'echo "apt-get $*" >>"$DID"; lists={shlex.quote(str(lists))}; case $1 in update) echo >"$lists" ;; '
        f'install) [ -e "$lists" ] && cp {checkout.bin}/ps {checkout.bin}/runc ;; esac',
    )

    result = checkout.run("nslab")

    install = "apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 runc"
    assert result.returncode == 0
    assert checkout.did == [install, "apt-get update", install, "venv", "pip"]
    assert "lab: missing" not in result.stderr


def test_root_later_installs_what_an_ordinary_user_could_not(checkout: Checkout) -> None:
    """A later call as root completes a set-up that lacks tools; what root cannot get is tried once."""
    (checkout.bin / "runc").unlink()
    checkout.run("nslab")
    checkout.stub("id", "echo 0")
    checkout.stub("apt-get", 'echo "$1" >>"$DID"; exit 1')

    result = checkout.run("nslab")

    assert "missing: runc" in result.stderr
    assert "install" in checkout.did
    before = checkout.did
    assert checkout.run("nslab").stderr == ""
    assert checkout.did == before


def test_root_gets_the_tools_for_guests_when_kernels_are_asked_for(checkout: Checkout) -> None:
    """QEMU and the rest are installed by the first command that boots kernels, and by no other."""
    checkout.stub("id", "echo 0")
    checkout.stub("apt-get", 'echo "$*" >>"$DID"')
    checkout.run("nslab")
    assert "qemu" not in "".join(checkout.did)

    checkout.run("nslab", "kernels")

    installed = [line for line in checkout.did if "qemu" in line]
    assert installed
    assert installed[0].endswith("qemu-system-x86 mmdebstrap squashfs-tools openssh-client")


def test_too_old_python_is_named(checkout: Checkout) -> None:
    """The message says which Python was found, which is needed, and how to get it."""
    old = "import sys; probe = sys.argv[3]; sys.version_info = (3, 9, 2); exec(probe)"
    checkout.stub("python3", f'exec {shlex.quote(sys.executable)} -c {shlex.quote(old)} "$@"')

    result = checkout.run("nslab")

    assert result.returncode == 2
    assert "Python 3.10 or later" in result.stderr
    assert "3.9.2" in result.stderr
    assert "too old" in result.stderr
    assert "sudo apt-get install -y --no-install-recommends python3-venv\n" in result.stderr


def test_newer_python_beside_an_old_one_is_found(checkout: Checkout) -> None:
    """Where python3 is too old, python3.10 and later are tried by their own names."""
    shutil.move(checkout.bin / "python3", checkout.bin / "python3.12")
    checkout.stub("python3", "exit 3")

    assert checkout.run("nslab").returncode == 0
