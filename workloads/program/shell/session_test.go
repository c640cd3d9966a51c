package shell_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/shell"
)

// terminal is both sides of a pseudo terminal.
func terminal(t *testing.T) (person, process *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	t.Cleanup(func() { person.Close() })
	conn, err := person.SyscallConn()
	require.NoError(t, err)
	number := 0
	require.NoError(t, conn.Control(func(fd uintptr) {
		if number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err == nil {
			err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		}
	}))
	require.NoError(t, err)
	process, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { process.Close() })
	return person, process
}

// TestSession types at a shell and waits for each answer, with the prompt after it, before the next line: the terminal echoes what
// is typed at once.
func TestSession(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	person, process := terminal(t)
	b.sys.Stdin, b.sys.Stdout, b.sys.Stderr = process, process, process
	ended := make(chan error, 1)
	go func() { ended <- shell.Run(t.Context(), b.sys, []string{"sh"}) }()
	require.NoError(t, person.SetDeadline(time.Now().Add(time.Minute)))
	screen := bufio.NewReader(person)
	for _, step := range []struct{ typed, shown string }{
		{"", "/app # "},
		{"echo answer is $((40+2))\n", "answer is 42\r\n/app # "},
		{"cd /tmp\n", "/tmp # "},
		{"for i in 1 2; do\n", "> "},
		{"echo round $i; done\n", "round 1\r\nround 2\r\n/tmp # "},
		{"read word\nhello\necho got $word\n", "got hello\r\n/tmp # "},
		{"tty\n", "/dev/pts/0\r\n/tmp # "},
		{"fi\n", "can only be used to end an `if`\r\n/tmp # "},
		{"echo still here\n", "here\r\nstill here\r\n/tmp # "},
		{"exit 3\n", "exit 3\r\n"},
	} {
		_, err := person.WriteString(step.typed)
		require.NoError(t, err)
		var seen strings.Builder
		for !strings.HasSuffix(seen.String(), step.shown) {
			c, err := screen.ReadByte()
			require.NoError(t, err, "%q: %q", step.typed, seen.String())
			seen.WriteByte(c)
		}
	}
	var exit *program.ExitError
	require.ErrorAs(t, <-ended, &exit)
	require.Equal(t, 3, exit.Code)
}
