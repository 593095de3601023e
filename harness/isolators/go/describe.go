package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"syscall"
)

const describedUsage = "expected --description FILE [--report DESCRIPTOR]"

// A description holds what of an exec.Cmd can be written down; descriptors are numbers, negative ones closed.
type description struct {
	Path                  string
	Args                  []string
	Env                   []string
	Dir                   string
	Stdin, Stdout, Stderr *int
	ExtraFiles            []*int
	SysProcAttr           *attributes
}

// Attributes have a PidFD also where Go's own, before 1.23, have none.
type attributes struct {
	syscall.SysProcAttr
	PidFD *int
}

// A report tells what became of the start, on one line of JSON.
type report struct {
	Pid   int    `json:",omitempty"`
	PidFD bool   `json:",omitempty"`
	Error string `json:",omitempty"`
	Errno int    `json:",omitempty"`
}

// runDescribed starts what the file describes, tells of it where that was asked for, and waits like run.
func runDescribed(arguments []string) (int, error) {
	file, told, err := parseDescribed(arguments)
	if err != nil {
		return 0, err
	}
	cmd, err := readDescription(file)
	if err != nil {
		return 0, usageError(fmt.Sprintf("%s: %v", file, err))
	}
	err = cmd.Start()
	if told != nil {
		if err := json.NewEncoder(told).Encode(reportOf(cmd, err)); err != nil {
			return 0, err
		}
		told.Close()
	}
	if err != nil {
		return 0, err
	}
	return statusOf(cmd, cmd.Wait())
}

type usageError string

func (e usageError) Error() string { return string(e) }

func parseDescribed(arguments []string) (file string, told *os.File, err error) {
	if len(arguments) != 1 && (len(arguments) != 3 || arguments[1] != "--report") {
		return "", nil, usageError(describedUsage)
	}
	if len(arguments) == 3 {
		number, err := strconv.Atoi(arguments[2])
		if err != nil || number < 0 {
			return "", nil, usageError(fmt.Sprintf("--report %q: expected a descriptor's number", arguments[2]))
		}
		syscall.CloseOnExec(number)
		told = os.NewFile(uintptr(number), "report")
	}
	return arguments[0], told, nil
}

func readDescription(path string) (*exec.Cmd, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer file.Close()
	var read description
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("expected one JSON object and nothing after it")
	}
	return read.command(), nil
}

func (d *description) command() *exec.Cmd {
	cmd := &exec.Cmd{Path: d.Path, Args: d.Args, Env: d.Env, Dir: d.Dir}
	// An interface that holds a nil file is not nil: the former is closed in the child, the latter /dev/null.
	if d.Stdin != nil {
		cmd.Stdin = open(d.Stdin)
	}
	if d.Stdout != nil {
		cmd.Stdout = open(d.Stdout)
	}
	if d.Stderr != nil {
		cmd.Stderr = open(d.Stderr)
	}
	for _, number := range d.ExtraFiles {
		cmd.ExtraFiles = append(cmd.ExtraFiles, open(number))
	}
	if d.SysProcAttr != nil {
		cmd.SysProcAttr = &d.SysProcAttr.SysProcAttr
		field := reflect.ValueOf(cmd.SysProcAttr).Elem().FieldByName("PidFD")
		if field.IsValid() {
			field.Set(reflect.ValueOf(d.SysProcAttr.PidFD))
		}
	}
	return cmd
}

func open(number *int) *os.File {
	if number == nil || *number < 0 {
		return nil
	}
	return os.NewFile(uintptr(*number), strconv.Itoa(*number))
}

func reportOf(cmd *exec.Cmd, err error) report {
	if err != nil {
		var number syscall.Errno
		errors.As(err, &number)
		return report{Error: err.Error(), Errno: int(number)}
	}
	made := report{Pid: cmd.Process.Pid}
	if cmd.SysProcAttr != nil {
		field := reflect.ValueOf(cmd.SysProcAttr).Elem().FieldByName("PidFD")
		made.PidFD = field.IsValid() && !field.IsNil() && field.Elem().Int() >= 0
	}
	return made
}
