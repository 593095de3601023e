"""One connection to another host by OpenSSH's client, shared by every command, terminal and file."""
