// Isolate starts a command in new namespaces and waits for it.
//
// The name under which it is called decides which namespaces are made: uts, ipc, pid and mount each make one
// more kind than the one before. Any other name takes them from options:
//
//	isolate [--uts] [--ipc] [--pid] [--mount] [--] [command [argument...]]
//
// The command is sh where none is given; it inherits standard input, output and error.
//
//	isolate --description FILE [--report DESCRIPTOR]
//
// starts what the file describes: an exec.Cmd as JSON.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const usageStatus = 2

var programs = map[string]uintptr{
	"uts":   syscall.CLONE_NEWUTS,
	"ipc":   syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	"pid":   syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWPID,
	"mount": syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
}

// The names are those of unshare(1).
var options = map[string]uintptr{
	"--uts":   syscall.CLONE_NEWUTS,
	"--ipc":   syscall.CLONE_NEWIPC,
	"--pid":   syscall.CLONE_NEWPID,
	"--mount": syscall.CLONE_NEWNS,
}

func main() {
	name := filepath.Base(os.Args[0])
	if len(os.Args) > 1 && os.Args[1] == "--description" {
		end(name, runDescribed, os.Args[2:])
	}
	flags, command, err := parse(name, os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(usageStatus)
	}
	status, err := run(flags, command)
	if err != nil {
		log.Fatal(err)
	}
	os.Exit(status)
}

// end runs a command line to its end and exits as that says.
func end(name string, run func([]string) (int, error), arguments []string) {
	status, err := run(arguments)
	var misused usageError
	if errors.As(err, &misused) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(usageStatus)
	}
	if err != nil {
		log.Fatal(err)
	}
	os.Exit(status)
}

// parse returns the clone flags and the command that a command line asks for.
func parse(name string, arguments []string) (uintptr, []string, error) {
	flags, fixed := programs[name]
	expected := "--uts, --ipc, --pid, --mount or -- before the command"
	if fixed {
		expected = "no option, or -- before the command"
	}
	for len(arguments) > 0 && strings.HasPrefix(arguments[0], "-") {
		option := arguments[0]
		arguments = arguments[1:]
		if option == "--" {
			break
		}
		flag, known := options[option]
		if fixed || !known {
			return 0, nil, fmt.Errorf("unknown option %q; expected %s", option, expected)
		}
		flags |= flag
	}
	if len(arguments) == 0 {
		arguments = []string{"sh"}
	}
	return flags, arguments, nil
}

// run starts the command in new namespaces, waits for it and returns its exit status as a shell counts it.
//
// The document's programs hand every error of Run to log.Fatal, so that a shell that ends with 3 shows as
// "exit status 3" and 1. Here an error means that the command never ran; its own status is handed on.
func run(flags uintptr, command []string) (int, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	return statusOf(cmd, cmd.Run())
}

// statusOf returns the exit status of a command that was waited for, unless it never ran.
func statusOf(cmd *exec.Cmd, err error) (int, error) {
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return 0, err
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}
