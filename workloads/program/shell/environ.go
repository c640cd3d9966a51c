package shell

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"

	"github.com/gameday-bench/gameday/workloads/program"
)

// nowhere is a directory in which nothing can be made. The interpreter would put the pipes of process substitutions into
// the host's directory of temporary files, and open whatever of that name lies there.
const nowhere = "/dev/null/none"

// containerEnviron is the environment of a script. It answers what the interpreter would otherwise ask the host: who the
// user is, and where users are at home.
type containerEnviron struct {
	expand.Environ
	c *command
	// started is set once the interpreter has chosen its directory of temporary files.
	started bool
}

func (e *containerEnviron) Get(name string) expand.Variable {
	if name == "TMPDIR" && !e.started {
		return expand.Variable{Set: true, Kind: expand.String, Str: nowhere}
	}
	if user, ok := strings.CutPrefix(name, "HOME "); ok {
		return e.home(user)
	}
	if v, ok := e.identity()[name]; ok {
		return v
	}
	return e.Environ.Get(name)
}

// Each is also what a subshell gets.
func (e *containerEnviron) Each(do func(string, expand.Variable) bool) {
	for name, v := range e.identity() {
		if !do(name, v) {
			return
		}
	}
	e.Environ.Each(do)
}

// identity are the variables in which bash shows the user.
func (e *containerEnviron) identity() map[string]expand.Variable {
	number := func(n uint32) expand.Variable {
		return expand.Variable{Set: true, ReadOnly: true, Kind: expand.String, Str: strconv.FormatUint(uint64(n), 10)}
	}
	u := e.c.sys.User
	return map[string]expand.Variable{"UID": number(u.UID), "EUID": number(u.UID), "GID": number(u.GID)}
}

// home is where a user of the container is at home. ~NAME of anybody else stays as it is.
func (e *containerEnviron) home(user string) expand.Variable {
	v := expand.Variable{Set: true, Kind: expand.String, Str: "~" + user}
	data, err := program.ReadFile(e.c.sys.Files, passwdFile)
	if err != nil {
		return v
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) > 5 && fields[0] == user {
			v.Str = fields[5]
		}
	}
	return v
}
