"""The reference model of mount propagation: what the documents promise, as pure functions of values.

To be read beside sharedsubtree.rst and propagate_umount.txt in the kernel's Documentation/filesystems/ and
mount_namespaces(7); each function names its rule's place there.
"""
