"""Runs in the forms that other tools read: KTAP, JUnit's XML, the kernel community's KCIDB JSON."""
