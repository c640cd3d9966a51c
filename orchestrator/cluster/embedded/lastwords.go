package embedded

import (
	"io"
	"os"
	"regexp"
	"strings"
)

const (
	// lastBytes is how much of the end of a log is looked at: the stack of a crash may be long.
	lastBytes = 64 << 10
	// lastLines is how many lines are quoted of the end of a log, and crashLines how many of a crash.
	lastLines, crashLines = 8, 24
)

// crash is how the Go runtime begins to say why a process ends.
var crash = regexp.MustCompile(`(?m)^(panic|fatal error): `)

// lastWords returns what an error message should quote of the log of a process that has ended: the reason for its crash and the beginning of its
// stack where it crashed, otherwise the last lines. It is empty where there is no log.
func lastWords(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > lastBytes {
		_, _ = f.Seek(-lastBytes, io.SeekEnd)
	}
	data, _ := io.ReadAll(f)
	text := strings.TrimSpace(string(data))
	if at := crash.FindStringIndex(text); at != nil {
		lines := strings.SplitN(text[at[0]:], "\n", crashLines+1)
		return strings.Join(lines[:min(len(lines), crashLines)], "\n")
	}
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-lastLines):], "\n")
}
