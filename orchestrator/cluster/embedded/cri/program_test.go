package cri

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// TestMain makes the test binary a program binary as well: the runtime under test starts it as container processes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "--images":
			fmt.Println(`[{"repository":"registry.local/test/app","tags":["1.0","2.0"],"program":"app","entrypoint":["/app"]},
				{"repository":"registry.local/test/entry","tags":["1.0"],"program":"app","entrypoint":["/app"],"cmd":["print","by default"]},
				{"repository":"registry.local/test/box","tags":["1.0"],"program":"app","cmd":["print","by default"]}]`)
			os.Exit(0)
		case "--container":
			os.Exit(runProgram(os.Args[2], os.Args[3:]))
		}
	}
	os.Exit(m.Run())
}

// runProgram is the container process of the tests: its first argument says what it does.
func runProgram(config string, rest []string) int {
	c, err := sandbox.LoadContainer(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 70
	}
	args := c.Args
	if args[0] == "/app" {
		args = args[1:]
	}
	if len(rest) > 1 && rest[0] == "--exec" {
		args = rest[2:]
	}
	if len(args) == 0 {
		args = []string{"sleep"}
	}
	switch args[0] {
	case "exit":
		code, _ := strconv.Atoi(args[1])
		return code
	case "env":
		fmt.Printf("%s variant=%s args=%q cwd=%s host=%s\n", c.Env[args[1]], c.Variant, c.Args, c.Cwd, c.Hostname)
	case "print":
		fmt.Println(strings.Join(args[1:], " "))
		fmt.Fprintln(os.Stderr, "to stderr")
	case "conditions":
		conditions, err := sandbox.OpenConditions(c.Conditions)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 70
		}
		fmt.Println(conditions.Clocks().Wall, conditions.Clocks().Monotonic, conditions.Before("read", "/tmp/x"))
	case "mtu":
		mtu, err := os.ReadFile(filepath.Join(c.Root, "sys/class/net/eth0/mtu"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 70
		}
		fmt.Print(string(mtu))
	case "crash":
		panic("boom")
	case "unended":
		fmt.Print("no line feed")
	case "long":
		n, _ := strconv.Atoi(args[1])
		fmt.Println(strings.Repeat("x", n))
	case "cat":
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			fmt.Println("got", in.Text())
		}
	case "sleep":
		fmt.Println("started")
		idle()
	case "graceful", "chatty": // The second says more, line by line: how many, and how long each one is.
		if len(args) > 2 {
			lines, _ := strconv.Atoi(args[1])
			n, _ := strconv.Atoi(args[2])
			for range lines {
				fmt.Println(strings.Repeat("x", n))
			}
		}
		terms := make(chan os.Signal, 1)
		signal.Notify(terms, syscall.SIGTERM)
		fmt.Println("started")
		<-terms
		fmt.Println("terminated")
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("started")
		idle()
	case "defiant": // Burns the processor until it is killed.
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("started")
		for { //nolint:staticcheck // As spin.
		}
	case "work":
		work()
	case "hog":
		return hog()
	case "spin":
		fmt.Println("started")
		for { //nolint:staticcheck // Burning the processor is what it is for.
		}
	default:
		fmt.Fprintf(os.Stderr, "%s: not found\n", args[0])
		return 127
	}
	return 0
}

// idle does nothing until a signal ends the process.
func idle() {
	for {
		time.Sleep(time.Hour)
	}
}

// work burns the processor until it is asked to end, and says that it does.
func work() {
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	fmt.Println("started")
	for len(terms) == 0 {
	}
	fmt.Println("terminated")
}

// hog grows until it is killed.
func hog() int {
	var held [][]byte
	for range 400 {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		held = append(held, b)
		time.Sleep(5 * time.Millisecond)
	}
	return len(held) % 2
}
