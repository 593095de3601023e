"""What is to be started: the fields of Go's ``exec.Cmd`` and ``syscall.SysProcAttr``, as JSON names them.

The JSON object has the names and the meaning that Go's own ``encoding/json`` gives these structures, so that
the Go program reads it straight into them. See docs/go.md. Descriptors are numbers; ``null`` is Go's nil.
"""

INT = (-(1 << 63), (1 << 63) - 1)
UINTPTR = (0, (1 << 64) - 1)
UINT32 = (0, (1 << 32) - 1)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple


class DescriptionError(ValueError):
    """A description that says something which the structures cannot hold; names the field."""


class Mapping:
    """A ``SysProcIDMap``: one line of an id map."""

    def __init__(self, inside: int, outside: int, size: int) -> None:
        """``size`` ids from ``inside`` on stand for those from ``outside`` on."""
        self.inside, self.outside, self.size = inside, outside, size

    def line(self) -> str:
        """The line as the kernel reads it (user_namespaces(7))."""
        return f"{self.inside} {self.outside} {self.size}\n"


class Credential:
    """A ``Credential``: the identities to assume."""

    def __init__(self, uid: int, gid: int, groups: "List[int]", no_set_groups: bool) -> None:
        """Take user, group and supplementary groups; with ``no_set_groups`` the latter stay as they are."""
        self.uid, self.gid, self.groups, self.no_set_groups = uid, gid, groups, no_set_groups


class Attributes:
    """A ``SysProcAttr``; what Go calls nil is None."""

    def __init__(self) -> None:
        """Ask for nothing."""
        self.chroot = ""
        self.credential: Optional[Credential] = None
        self.setsid = self.setpgid = self.setctty = self.noctty = self.foreground = False
        self.ctty = self.pgid = self.pdeathsig = 0
        self.cloneflags = self.unshareflags = 0
        self.uid_mappings: Optional[List[Mapping]] = None
        self.gid_mappings: Optional[List[Mapping]] = None
        self.gid_mappings_enable_setgroups = False
        self.ambient_caps: List[int] = []
        self.use_cgroup_fd = False
        self.cgroup_fd = 0
        self.pid_fd = False
        """Whether a pidfd of the child is wanted (Go: the pointer is not nil)."""

    @property
    def maps_ids(self) -> bool:
        """Whether the child waits until its parent says that the maps are written."""
        return self.uid_mappings is not None or self.gid_mappings is not None


class Description:
    """An ``exec.Cmd``."""

    def __init__(self) -> None:
        """Describe nothing yet."""
        self.path = ""
        self.args: List[str] = []
        self.env: Optional[List[str]] = None
        """None: the environment of the starting process."""
        self.dir = ""
        self.stdin: Optional[int] = None
        """None, here and in the next two: ``/dev/null``."""
        self.stdout: Optional[int] = None
        self.stderr: Optional[int] = None
        self.extra_files: List[Optional[int]] = []
        """Descriptors that become 3, 4, …; None or a negative number: that one is closed."""
        self.given: Optional[Attributes] = None

    @property
    def has_attributes(self) -> bool:
        """Whether there is a ``SysProcAttr`` at all, be it an empty one."""
        return self.given is not None

    @property
    def attributes(self) -> Attributes:
        """The ``SysProcAttr``, an empty one where none is given."""
        return self.given or Attributes()


def read(text: str) -> Description:
    """The description that a JSON text holds.

    Raises:
        DescriptionError: it is no such thing; the message names the field and what was expected.
    """
    described = Description()
    _object(parsed(text), "the description", _COMMAND, described)
    return described


def parsed(text: str) -> object:
    """What a JSON text says.

    Raises:
        DescriptionError: it is none.
    """
    # The package json takes half as long to import as the interpreter to start; it is needed for errors only.
    try:
        from _json import make_scanner

        value, end = make_scanner(_Plain())(text.strip(), 0)  # type: ignore[arg-type]
        if not text.strip()[end:]:
            return value
    except (ImportError, StopIteration, ValueError):
        pass
    import json

    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise DescriptionError(f"not JSON: {error}") from None


def _no_constant(name: str) -> None:
    raise DescriptionError(f"not JSON: {name}")


class _Plain:
    """How ``json.loads`` reads by default."""

    def __init__(self) -> None:
        """Remember nothing: a scanner has a memory of its own."""
        self.memo: Dict[str, str] = {}

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int
    parse_constant = staticmethod(_no_constant)


def _object(
    value: object, where: str, fields: "Dict[str, Tuple[str, Callable[..., Any]]]", made: object
) -> None:
    """Set a structure's fields from a JSON object; null leaves one as it is, as in Go."""
    if not isinstance(value, dict):
        raise DescriptionError(f"{where}: expected an object, got {_shown(value)}")
    for name, content in value.items():
        if name not in fields:
            raise DescriptionError(f"{where}: unknown field {name!r}; expected one of {', '.join(fields)}")
        attribute, reader = fields[name]
        if content is not None:
            setattr(made, attribute, reader(content, name))


def _shown(value: object) -> str:
    return repr(value) if len(repr(value)) < 60 else type(value).__name__


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise DescriptionError(f"{where}: expected text, got {_shown(value)}")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise DescriptionError(f"{where}: expected true or false, got {_shown(value)}")
    return value


def _number(bounds: "Tuple[int, int]") -> "Callable[[object, str], int]":
    def read_number(value: object, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not bounds[0] <= value <= bounds[1]:
            raise DescriptionError(
                f"{where}: expected a whole number from {bounds[0]} to {bounds[1]}, got {_shown(value)}"
            )
        return value

    return read_number


def _list(reader: "Callable[[object, str], Any]", null: object = ...) -> "Callable[[object, str], List[Any]]":
    """A reader of lists; what stands for null in one, if Go has something that does."""

    def read_list(value: object, where: str) -> "List[Any]":
        if not isinstance(value, list):
            raise DescriptionError(f"{where}: expected a list, got {_shown(value)}")
        return [
            null if item is None and null is not ... else reader(item, f"{where}[{position}]")
            for position, item in enumerate(value)
        ]

    return read_list


def _mapping(value: object, where: str) -> Mapping:
    made = Mapping(0, 0, 0)
    _object(value, where, _MAPPING, made)
    return made


def _credential(value: object, where: str) -> Credential:
    made = Credential(0, 0, [], False)
    _object(value, where, _CREDENTIAL, made)
    return made


def _attributes(value: object, where: str) -> Attributes:
    made = Attributes()
    _object(value, where, _ATTRIBUTES, made)
    return made


_int, _uint32, _uintptr = _number(INT), _number(UINT32), _number(UINTPTR)

_MAPPING = {"ContainerID": ("inside", _int), "HostID": ("outside", _int), "Size": ("size", _int)}

_CREDENTIAL = {
    "Uid": ("uid", _uint32),
    "Gid": ("gid", _uint32),
    "Groups": ("groups", _list(_uint32)),
    "NoSetGroups": ("no_set_groups", _flag),
}

_ATTRIBUTES = {
    "Chroot": ("chroot", _text),
    "Credential": ("credential", _credential),
    "Setsid": ("setsid", _flag),
    "Setpgid": ("setpgid", _flag),
    "Setctty": ("setctty", _flag),
    "Noctty": ("noctty", _flag),
    "Ctty": ("ctty", _int),
    "Foreground": ("foreground", _flag),
    "Pgid": ("pgid", _int),
    "Pdeathsig": ("pdeathsig", _int),
    "Cloneflags": ("cloneflags", _uintptr),
    "Unshareflags": ("unshareflags", _uintptr),
    "UidMappings": ("uid_mappings", _list(_mapping)),
    "GidMappings": ("gid_mappings", _list(_mapping)),
    "GidMappingsEnableSetgroups": ("gid_mappings_enable_setgroups", _flag),
    "AmbientCaps": ("ambient_caps", _list(_uintptr)),
    "UseCgroupFD": ("use_cgroup_fd", _flag),
    "CgroupFD": ("cgroup_fd", _int),
    "PidFD": ("pid_fd", lambda _value, _where: True),
}

_COMMAND = {
    "Path": ("path", _text),
    "Args": ("args", _list(_text)),
    "Env": ("env", _list(_text)),
    "Dir": ("dir", _text),
    "Stdin": ("stdin", _int),
    "Stdout": ("stdout", _int),
    "Stderr": ("stderr", _int),
    "ExtraFiles": ("extra_files", _list(_int, null=None)),
    "SysProcAttr": ("given", _attributes),
}
