package cache

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// settings are the server's configuration: CONFIG GET reads it, CONFIG SET changes it.
type settings struct {
	mu     sync.Mutex
	values map[string]string
}

func newSettings() *settings {
	return &settings{values: map[string]string{
		"port": Port, "requirepass": "", "maxmemory": "0", "maxmemory-policy": "noeviction", "appendonly": "no", "save": "", "timeout": "0", "databases": "16",
	}}
}

func (s *settings) get(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[strings.ToLower(name)]
	return v, ok
}

// match returns the settings whose names match a pattern, as name, value, name, value, sorted.
func (s *settings) match(pattern string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		if ok, err := path.Match(strings.ToLower(pattern), name); err == nil && ok {
			out = append(out, name, s.values[name])
		}
	}
	return out
}

func (s *settings) set(name, value string) error {
	name = strings.ToLower(name)
	switch name {
	case "maxmemory":
		n, err := parseBytes(value)
		if err != nil {
			return err
		}
		value = strconv.FormatInt(n, 10)
	case "maxmemory-policy":
		if !slices.Contains([]string{"noeviction", "allkeys-lru", "volatile-lru", "allkeys-random", "volatile-ttl"}, value) {
			return fmt.Errorf("unknown maxmemory-policy %q", value)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.values[name]; !ok {
		return fmt.Errorf("unknown setting %q", name)
	}
	s.values[name] = value
	return nil
}

// maxMemory is the limit in bytes; 0 means none.
func (s *settings) maxMemory() int64 {
	v, _ := s.get("maxmemory")
	// It was checked when it was set.
	n, _ := strconv.ParseInt(v, 10, 64)
	return n
}

// parseBytes reads sizes as redis.conf has them: 100, 16mb, 1gb, 64k.
func parseBytes(text string) (int64, error) {
	t := strings.ToLower(text)
	for _, unit := range []struct {
		suffix string
		factor int64
	}{{"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}, {"g", 1e9}, {"m", 1e6}, {"k", 1e3}, {"b", 1}, {"", 1}} {
		number, ok := strings.CutSuffix(t, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("read size %q: want a number such as 16mb", text)
		}
		return n * unit.factor, nil
	}
	return 0, fmt.Errorf("read size %q: want a number such as 16mb", text)
}
