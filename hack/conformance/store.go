package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// outcome is what came of one test.
type outcome struct {
	Name string `json:"name"`
	// State is passed or failed. A test that asked to be skipped itself is skipped, with its words in Message.
	State   string        `json:"state"`
	Message string        `json:"message,omitempty"`
	Took    time.Duration `json:"took"`
	// At is when it ended.
	At time.Time `json:"at"`
	// Build is what was tested.
	Build string `json:"build"`
}

// store keeps outcomes in a file, one JSON object per line; the last one of a test counts. It is safe for concurrent use.
type store struct {
	mu   sync.Mutex
	file *os.File
	all  map[string]outcome
}

// openStore opens the file; unless keep is set it starts empty.
func openStore(path string, keep bool) (*store, error) {
	s := &store{all: map[string]outcome{}}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if keep {
		if err := s.load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	} else {
		flags |= os.O_TRUNC
	}
	var err error
	if s.file, err = os.OpenFile(path, flags, 0o644); err != nil {
		return nil, fmt.Errorf("open outcomes: %w", err)
	}
	return s, nil
}

func (s *store) load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o outcome
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return fmt.Errorf("decode outcome: %w", err)
		}
		s.all[o.Name] = o
	}
	return lines.Err()
}

func (s *store) get(name string) (outcome, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.all[name]
	return o, ok
}

func (s *store) put(o outcome) error {
	data, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode outcome: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[o.Name] = o
	if _, err := s.file.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("write outcome: %w", err)
	}
	return nil
}

func (s *store) close() { s.file.Close() }
