package main

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// namespace is one to be entered.
type namespace struct {
	// kind is the flag of its kind, as setns has it.
	kind int
	// file refers to it, for example /proc/1/ns/net.
	file string
}

// request is what the command line asks for.
type request struct {
	namespaces []namespace
	command    []string
}

// kinds are the options, in the order in which namespaces are entered: the one of mounts last, since it changes which files there are.
var kinds = []struct {
	option string
	kind   int
}{
	{"-n", unix.CLONE_NEWNET}, {"-i", unix.CLONE_NEWIPC}, {"-p", unix.CLONE_NEWPID}, {"-m", unix.CLONE_NEWNS},
}

// parse reads the command line.
func parse(args []string) (request, error) {
	files, local := map[string]string{}, false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		option := args[0]
		args = args[1:]
		if option == "--" {
			break
		}
		if option == "-l" || option == "--local" {
			local = true
			continue
		}
		if !known(option) {
			return request{}, fmt.Errorf("unknown option %s", option)
		}
		if len(args) == 0 {
			return request{}, fmt.Errorf("option %s needs the file of a namespace", option)
		}
		files[option], args = args[0], args[1:]
	}
	if len(args) == 0 {
		return request{}, errors.New("no command")
	}
	out := request{command: args}
	for _, k := range kinds {
		if file := files[k.option]; file != "" && !(local && k.kind == unix.CLONE_NEWNS) {
			out.namespaces = append(out.namespaces, namespace{k.kind, file})
		}
	}
	return out, nil
}

func known(option string) bool {
	for _, k := range kinds {
		if k.option == option {
			return true
		}
	}
	return false
}
