package agnhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

const (
	// newFileContent is what mounttest writes into a file that it makes.
	newFileContent = "mount-tester new file\n"
	// loopPeriod is the time between two readings of --file_content_in_loop.
	loopPeriod = 2 * time.Second
)

// fileSystemNumbers are the types that mounttest does not know by name, as in statfs(2).
var fileSystemNumbers = map[string]int64{"ext4": 0xef53, "overlay": 0x794c7630}

// mountTest writes and looks at files in the order that upstream does, which the tests rely on. It fails when any step failed.
func mountTest(ctx context.Context, a *app, args []string) error {
	f := newFlags("mounttest")
	fsType := f.String("fs_type", "", "path to print the file system's type of")
	mode := f.String("file_mode", "", "path to print the mode bits of")
	perm := f.String("file_perm", "", "path to print the permissions of")
	owner := f.String("file_owner", "", "path to print the owner of")
	create := map[fs.FileMode]*string{}
	order := []fs.FileMode{0o644, 0o666, 0o660, 0o777}
	for _, p := range order {
		create[p] = f.String(fmt.Sprintf("new_file_0%o", p), "", "path to write and read")
	}
	content := f.String("file_content", "", "path to print the content of")
	loop := f.String("file_content_in_loop", "", "path to print the content of, again and again")
	retry := f.Int("retry_time", 180, "seconds of the loop")
	stopEarly := f.Bool("break_on_expected_content", true, "end the loop at the content that mounttest writes")
	if err := a.parse(f, args); err != nil {
		return err
	}
	// The tests ask for exact mode bits; the process is the container's own.
	syscall.Umask(0)
	m := mountTester{app: a}
	m.step(*fsType, m.fsType)
	for _, p := range order {
		m.step(*create[p], func(path string) error { return m.create(path, p) })
	}
	m.step(*mode, m.mode)
	m.step(*perm, m.perm)
	m.step(*owner, m.owner)
	m.step(*content, m.content)
	m.step(*loop, func(path string) error { return m.loop(ctx, path, time.Duration(*retry)*time.Second, *stopEarly) })
	if m.failed {
		return &program.ExitError{Code: 1}
	}
	return nil
}

type mountTester struct {
	*app
	failed bool
}

// step does one thing when its flag was given.
func (m *mountTester) step(path string, do func(string) error) {
	if path != "" && do(path) != nil {
		m.failed = true
	}
}

func (m *mountTester) printf(format string, args ...any) { fmt.Fprintf(m.sys.Stdout, format, args...) }

func (m *mountTester) fsType(path string) error {
	s, err := m.sys.Files.FileSystem(path)
	if err != nil {
		m.printf("error from statfs(%q): %v\n", path, err)
		return err
	}
	if number, ok := fileSystemNumbers[s.Type]; ok {
		m.printf("mount type of %q: %v\n", path, number)
	} else {
		m.printf("mount type of %q: %s\n", path, s.Type)
	}
	return nil
}

func (m *mountTester) create(path string, perm fs.FileMode) error {
	if err := program.WriteFile(m.sys.Files, path, []byte(newFileContent), perm); err != nil {
		m.printf("error writing new file %q: %v\n", path, err)
		return err
	}
	return m.content(path)
}

func (m *mountTester) stat(path string) (fs.FileInfo, error) {
	info, err := m.sys.Files.Stat(path)
	if err != nil {
		m.printf("error from Stat(%q): %v\n", path, err)
	}
	return info, err
}

func (m *mountTester) mode(path string) error {
	info, err := m.stat(path)
	if err == nil {
		m.printf("mode of file %q: %v\n", path, info.Mode())
	}
	return err
}

func (m *mountTester) perm(path string) error {
	info, err := m.stat(path)
	if err == nil {
		m.printf("perms of file %q: %v\n", path, info.Mode().Perm())
	}
	return err
}

func (m *mountTester) owner(path string) error {
	info, err := m.stat(path)
	if err != nil {
		return err
	}
	uid, gid := sandbox.Owner(info)
	m.printf("owner UID of %q: %v\nowner GID of %q: %v\n", path, uid, path, gid)
	return nil
}

func (m *mountTester) content(path string) error {
	data, err := program.ReadFile(m.sys.Files, path)
	if err != nil {
		m.printf("error reading file content for %q: %v\n", path, err)
		return err
	}
	m.printf("content of file %q: %s\n", path, data)
	return nil
}

// loop prints the content every two seconds; the last reading decides whether it failed.
func (m *mountTester) loop(ctx context.Context, path string, limit time.Duration, stopEarly bool) error {
	ticker := m.sys.Clock.NewTicker(loopPeriod)
	defer ticker.Stop()
	var err error
	for start := m.sys.Clock.Now(); m.sys.Clock.Since(start) < limit; {
		var data []byte
		if data, err = program.ReadFile(m.sys.Files, path); err != nil {
			m.printf("Error reading file %s: %v, retrying\n", path, err)
		} else {
			m.printf("content of file %q: %s\n", path, data)
			if stopEarly && string(data) == newFileContent {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C():
		}
	}
	return err
}

// dnsSuffix, dnsServerList and etcHosts print what the container's resolver was given.
func dnsSuffix(_ context.Context, a *app, _ []string) error { return a.resolvConf("search") }

func dnsServerList(_ context.Context, a *app, _ []string) error { return a.resolvConf("nameserver") }

func etcHosts(_ context.Context, a *app, _ []string) error {
	data, err := program.ReadFile(a.sys.Files, "/etc/hosts")
	if err != nil {
		return fmt.Errorf("read hosts file: %w", err)
	}
	fmt.Fprintln(a.sys.Stdout, string(data))
	return nil
}

func (a *app) resolvConf(keyword string) error {
	data, err := program.ReadFile(a.sys.Files, "/etc/resolv.conf")
	if errors.Is(err, os.ErrNotExist) {
		data, err = nil, nil
	}
	if err != nil {
		return fmt.Errorf("read resolver configuration: %w", err)
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == keyword {
			out = append(out, fields[1:]...)
		}
	}
	fmt.Fprintln(a.sys.Stdout, strings.Join(out, ","))
	return nil
}
