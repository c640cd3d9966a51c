package cri

import (
	"bytes"
	"strings"
)

// module is this module's path, which the Go runtime prints before the name of each of its functions and files.
const module = "github.com/gameday-bench/gameday/"

// modulePaths are how stack traces name the packages of programs, and what they would be called in a repository of the
// application's own: hotel/profile.Serve.
var modulePaths = strings.NewReplacer(module+"workloads/apps/", "", module+"workloads/", "", module, "")

// plainTrace takes out of text who has built a program. A crash has to look as it would in production, with the functions that
// led to it; that they belong to an exercise is not for those who read the log. The runtime writes to the file descriptor
// itself, so that no program can do this for its own crash. The result may share memory with text.
func plainTrace(text []byte) []byte {
	if !bytes.Contains(text, []byte(module)) {
		return text
	}
	return []byte(modulePaths.Replace(string(text)))
}
