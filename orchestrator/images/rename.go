package images

import (
	"bytes"
	"io"
)

// What this module is called in its executables, and what it is called in images. A crash has to look as it would in
// production: the Go runtime writes the functions that led to it to the log, with the paths of their packages, and that they
// belong to an exercise is not for those who read the log. (On the embedded cluster the container runtime changes the log; here
// the runtime is somebody else's, and a program cannot change what is written about its own end.) Both paths have the same
// length, so that nothing in the executable moves, and what is compared with such a path is changed, too.
const (
	modulePath  = "github.com/gameday-bench/gameday"
	neutralPath = "git.example.com/platform/backend"
)

// renameBuffer is how much is read at a time, in bytes.
const renameBuffer = 1 << 20

// renamed reads what r has with from replaced by to, which is as long.
type renamed struct {
	r        io.Reader
	from, to []byte
	// buf[start:ready] is searched and goes out next; buf[ready:end] may be the beginning of a match.
	buf               []byte
	start, ready, end int
	err               error
}

func rename(r io.Reader, from, to string) io.Reader {
	return &renamed{r: r, from: []byte(from), to: []byte(to), buf: make([]byte, renameBuffer)}
}

// Read implements io.Reader.
func (n *renamed) Read(p []byte) (int, error) {
	for n.start == n.ready {
		if n.err != nil {
			return 0, n.err
		}
		n.fill()
	}
	c := copy(p, n.buf[n.start:n.ready])
	n.start += c
	return c, nil
}

// fill reads and searches more.
func (n *renamed) fill() {
	n.end = copy(n.buf, n.buf[n.start:n.end])
	n.start = 0
	got, err := n.r.Read(n.buf[n.end:])
	n.end += got
	for at := 0; ; {
		i := bytes.Index(n.buf[at:n.end], n.from)
		if i < 0 {
			break
		}
		at += i + copy(n.buf[at+i:], n.to)
	}
	n.ready = max(0, n.end-len(n.from)+1)
	if err != nil {
		n.ready, n.err = n.end, err
	}
}
