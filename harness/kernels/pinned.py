"""Checksums of packages that have dropped out of the archive's lists, and so out of its signatures' reach."""

SHA256 = {
    "linux-modules-6.19.14+deb13-cloud-amd64": (
        "cb0628ef28a9b1769e6e0fa2d65b8e234d968c70a1164ac0be35e86d34e39d1c"
    ),
    "linux-modules-7.0.13+deb13-cloud-amd64": (
        "cfa17c8f281ed3a001eb82c05cf23e01250872cc9b44f073fff1aa13d645e4c4"
    ),
    "linux-modules-7.1.13+deb13-cloud-amd64": (
        "d48c4e3b8422d7ee67cf7b0eeb614f41f91d95385757c7e7155120ce698ca10a"
    ),
}
"""Package → SHA-256 of its file, as Debian's pool held it in November 2026."""
