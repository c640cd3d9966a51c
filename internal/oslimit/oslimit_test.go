package oslimit_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gameday-bench/gameday/internal/oslimit"
)

// TestMain is also a process that has no descriptor left, since a limit holds for a whole process.
func TestMain(m *testing.M) {
	if os.Getenv("OSLIMIT_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	limit := unix.Rlimit{Cur: 16, Max: 16}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for {
		if _, err := os.Open("/dev/null"); err != nil {
			fmt.Println(oslimit.Explain(fmt.Errorf("open a store: %w", err)))
			return
		}
	}
}

func write(t *testing.T, root, file, text string) {
	t.Helper()
	path := filepath.Join(root, file)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestInotifyCountsTheInstancesOfAllProcesses(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root, "proc/sys/fs/inotify/max_user_instances", "128\n")
	for pid, links := range map[string][]string{
		"10": {"anon_inode:inotify", "/dev/null", "anon_inode:inotify"}, "20": {"anon_inode:[eventpoll]"}, "self": {"anon_inode:inotify"},
	} {
		dir := filepath.Join(root, "proc", pid, "fd")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		for i, to := range links {
			require.NoError(t, os.Symlink(to, filepath.Join(dir, fmt.Sprint(i))))
		}
	}
	got, err := oslimit.Inotify(root)
	require.NoError(t, err)
	require.Equal(t, oslimit.Level{Used: 2, Max: 128}, got)
	require.EqualValues(t, 126, got.Free())
	write(t, root, "proc/sys/user/max_inotify_instances", "1\n")
	got, err = oslimit.Inotify(root)
	require.NoError(t, err)
	require.Equal(t, oslimit.Level{Used: 2, Max: 1}, got, "a namespace's own limit holds, too")
	require.Zero(t, got.Free())
	_, err = oslimit.Inotify(t.TempDir())
	require.ErrorContains(t, err, "max_user_instances")
}

func TestInotifySeesAnInstanceOfThisProcess(t *testing.T) {
	before := oslimit.InotifyOf(os.Getpid())
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	require.NoError(t, err)
	require.Equal(t, before+1, oslimit.InotifyOf(os.Getpid()))
	all, err := oslimit.Inotify("/")
	require.NoError(t, err)
	require.GreaterOrEqual(t, all.Used, before+1)
	require.NoError(t, unix.Close(fd))
	require.Equal(t, before, oslimit.InotifyOf(os.Getpid()))
}

func TestFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root, "proc/sys/fs/file-nr", "1344\t0\t9223372036854775807\n")
	got, err := oslimit.Files(root)
	require.NoError(t, err)
	require.Equal(t, oslimit.Level{Used: 1344, Max: 9223372036854775807}, got)
	write(t, root, "proc/sys/fs/file-nr", "none\n")
	_, err = oslimit.Files(root)
	require.ErrorContains(t, err, "file-nr")
}

func TestDescriptorsCountsThisProcess(t *testing.T) {
	before, err := oslimit.Descriptors()
	require.NoError(t, err)
	file, err := os.Open("/dev/null")
	require.NoError(t, err)
	defer file.Close()
	after, err := oslimit.Descriptors()
	require.NoError(t, err)
	require.Equal(t, before.Used+1, after.Used)
	require.Positive(t, after.Max)
}

func TestExplainLeavesOtherErrorsAlone(t *testing.T) {
	t.Parallel()
	require.NoError(t, oslimit.Explain(nil))
	other := errors.New("no space left")
	require.Same(t, other, oslimit.Explain(other))
}

func TestExplainDoesSoOnce(t *testing.T) {
	t.Parallel()
	for _, err := range []error{&os.PathError{Op: "open", Path: "x", Err: unix.EMFILE}, errors.New("run it: too many open files"), unix.ENFILE} {
		once := oslimit.Explain(err)
		require.ErrorIs(t, once, err)
		require.Greater(t, len(once.Error()), len(err.Error()))
		require.Equal(t, once, oslimit.Explain(once))
		wrapped := fmt.Errorf("start: %w", once)
		require.Equal(t, wrapped, oslimit.Explain(wrapped))
	}
}

func TestExplainNamesTheLimitOfDescriptors(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "OSLIMIT_TEST_CHILD=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "open a store: open /dev/null: too many open files (this process may have 16 open files: raise the limit, for example with ulimit -n 65536)",
		strings.TrimSpace(string(out)))
}

func TestExplainNamesTheLimitOfInotify(t *testing.T) {
	t.Parallel()
	// The limit is the user's: it is tried in a user namespace, which has one of its own.
	script := `echo 0 > /proc/sys/user/max_inotify_instances && OSLIMIT_TEST_INOTIFY=1 exec "$0" -test.run TestInotifyIsExhausted -test.v`
	out, err := exec.Command("unshare", "--user", "--map-root-user", "sh", "-c", script, os.Args[0]).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "TestInotifyIsExhausted") {
		t.Skipf("no user namespace here: %v: %s", err, out)
	}
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: TestInotifyIsExhausted")
}

func TestInotifyIsExhausted(t *testing.T) {
	if os.Getenv("OSLIMIT_TEST_INOTIFY") == "" {
		t.Skip("run by TestExplainNamesTheLimitOfInotify in a namespace")
	}
	_, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	require.ErrorIs(t, err, unix.EMFILE)
	require.Regexp(t, `^too many open files \(this user has \d+ of 0 inotify instances: .*sudo sysctl -w fs.inotify.max_user_instances=1024\)$`,
		oslimit.Explain(err).Error())
}
