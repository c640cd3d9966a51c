package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// writeJSON writes v to file so that a reader sees the old file or the whole new one.
func writeJSON(file string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(file), err)
	}
	return writeFile(file, append(data, '\n'))
}

func writeFile(file string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return unwritable(filepath.Dir(file), fmt.Errorf("write %s: %w", filepath.Base(file), err))
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			err = unwritable(filepath.Dir(file), fmt.Errorf("write %s: %w", filepath.Base(file), errors.Join(err, os.Remove(tmp.Name()))))
		}
	}()
	if _, err = tmp.Write(data); err != nil {
		return err
	}
	if err = tmp.Chmod(0o644); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

func readJSON(file string, v any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode %s: %w", file, err)
	}
	return nil
}

// lines is a file of JSON lines that is appended to. It is safe for concurrent use.
type lines struct {
	mu   sync.Mutex
	file *os.File
	sync bool
}

// openLines opens file for appending. A last line that was cut off is ended first, so that it cannot swallow the next.
func openLines(file string, sync bool) (*lines, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(file), err)
	}
	l := &lines{file: f, sync: sync}
	if err := l.endTorn(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

func (l *lines) endTorn() error {
	info, err := l.file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := l.file.ReadAt(last, info.Size()-1); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the end of %s: %w", filepath.Base(l.file.Name()), err)
	}
	if last[0] == '\n' {
		return nil
	}
	_, err = l.file.Write([]byte("\n"))
	return err
}

// append writes v as one line with one write.
func (l *lines) append(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a line of %s: %w", filepath.Base(l.file.Name()), err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(data, '\n')); err != nil {
		return unwritable(filepath.Dir(l.file.Name()), fmt.Errorf("append to %s: %w", filepath.Base(l.file.Name()), err))
	}
	if l.sync {
		if err := l.file.Sync(); err != nil {
			return unwritable(filepath.Dir(l.file.Name()), fmt.Errorf("sync %s: %w", filepath.Base(l.file.Name()), err))
		}
	}
	return nil
}

func (l *lines) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.file.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// readLines decodes each whole line of a JSON lines file with decode. Lines that were cut off by a crash (no newline, or not
// JSON) are counted, not failed on. A file that is not there has no lines.
func readLines(file string, decode func(line []byte) error) (torn int, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, err)
	}
	for len(data) > 0 {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		data = rest
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if !whole || decode(line) != nil {
			torn++
		}
	}
	return torn, nil
}
