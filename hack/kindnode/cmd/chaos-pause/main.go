// Command chaos-pause waits for SIGCONT and becomes the command that its arguments name. Chaos Mesh's daemon starts what stresses a container
// through it, as /usr/local/bin/pause: there is time to move the process into the container's cgroup before it does anything.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: pause COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, syscall.SIGCONT)
	<-resumed
	signal.Reset()
	program, err := exec.LookPath(os.Args[1])
	if err == nil {
		err = syscall.Exec(program, os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "pause:", err)
	os.Exit(1)
}
