// Starts prints the nanoseconds that each of many starts of a program takes, from Start to the end of Wait.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

func main() {
	flags, _ := strconv.ParseUint(os.Args[1], 10, 64)
	times, _ := strconv.Atoi(os.Args[2])
	for range make([]struct{}, times) {
		began := time.Now()
		cmd := &exec.Cmd{Path: os.Args[3], SysProcAttr: &syscall.SysProcAttr{Cloneflags: uintptr(flags)}}
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(time.Since(began).Nanoseconds())
	}
}
