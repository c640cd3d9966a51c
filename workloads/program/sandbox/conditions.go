package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// ClockOffsets say how far a container's clocks are ahead of the node's; negative is behind.
type ClockOffsets struct {
	// Wall is that of the time of day, CLOCK_REALTIME.
	Wall time.Duration
	// Monotonic is that of the clock that measures durations, CLOCK_MONOTONIC.
	Monotonic time.Duration
}

// Add returns the sum.
func (o ClockOffsets) Add(p ClockOffsets) ClockOffsets {
	return ClockOffsets{Wall: o.Wall + p.Wall, Monotonic: o.Monotonic + p.Monotonic}
}

// Conditions are what the node makes a container live with while it runs: clocks that are off, files that are slow or
// fail. The node writes them (SetClocks, SetFileRules) to a page of a file that every process of the container maps, so
// that what holds for one holds for all, at once, and costs an atomic load where nothing is wrong.
//
// Methods may be called concurrently, but for one writer at a time.
type Conditions struct {
	path  string
	page  []byte
	sheet *sheet

	reading sync.Mutex
	rules   atomic.Pointer[ruleSet]
}

// sheet is the layout of the page.
type sheet struct {
	wall       atomic.Int64 // Nanoseconds.
	monotonic  atomic.Int64
	generation atomic.Int64 // Of the file rules; 0 before there were any.
}

// ruleSet are the file rules of one generation.
type ruleSet struct {
	generation int64
	rules      []*fileRule
}

// CreateConditions makes the file at path, for a container that lives with nothing unusual, or opens the one that is
// there, to write. The caller closes it.
func CreateConditions(path string) (*Conditions, error) {
	return mapConditions(path, os.O_RDWR|os.O_CREATE, syscall.PROT_READ|syscall.PROT_WRITE)
}

// OpenConditions opens the file at path to read.
func OpenConditions(path string) (*Conditions, error) {
	return mapConditions(path, os.O_RDONLY, syscall.PROT_READ)
}

func mapConditions(path string, flag, protection int) (*Conditions, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open conditions: %w", err)
	}
	defer f.Close()
	if flag&os.O_CREATE != 0 {
		if err := f.Truncate(Block); err != nil {
			return nil, fmt.Errorf("make conditions: %w", err)
		}
	}
	page, err := syscall.Mmap(int(f.Fd()), 0, Block, protection, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map conditions %s: %w", path, err)
	}
	c := &Conditions{path: path, page: page, sheet: (*sheet)(unsafe.Pointer(&page[0]))}
	c.rules.Store(&ruleSet{})
	return c, nil
}

// Close gives the mapping back; nothing that was made from the conditions may be used afterwards.
func (c *Conditions) Close() error { return syscall.Munmap(c.page) }

// Clocks are the offsets that hold now.
func (c *Conditions) Clocks() ClockOffsets {
	return ClockOffsets{Wall: time.Duration(c.sheet.wall.Load()), Monotonic: time.Duration(c.sheet.monotonic.Load())}
}

// SetClocks moves the container's clocks.
func (c *Conditions) SetClocks(o ClockOffsets) {
	c.sheet.wall.Store(int64(o.Wall))
	c.sheet.monotonic.Store(int64(o.Monotonic))
}

// rulesPath is where the file rules are.
func (c *Conditions) rulesPath() string { return c.path + ".rules" }

// SetFileRules replaces what goes wrong with the container's files, for operations that begin after it returns. Every
// rule that applies to an operation acts on it, in order.
func (c *Conditions) SetFileRules(rules []FileRule) error {
	if _, err := compileRules(rules); err != nil {
		return err
	}
	data, err := json.Marshal(rules)
	if err != nil {
		return fmt.Errorf("encode file rules: %w", err)
	}
	if err := os.WriteFile(c.rulesPath()+".new", data, 0o600); err != nil {
		return fmt.Errorf("write file rules: %w", err)
	}
	if err := os.Rename(c.rulesPath()+".new", c.rulesPath()); err != nil {
		return fmt.Errorf("write file rules: %w", err)
	}
	// Only now: whoever sees the generation finds its rules, or later ones.
	c.sheet.generation.Add(1)
	return nil
}

// fileRules are the rules that hold now.
func (c *Conditions) fileRules() []*fileRule {
	now, known := c.sheet.generation.Load(), c.rules.Load()
	if known.generation == now {
		return known.rules
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	if known = c.rules.Load(); known.generation == now {
		return known.rules
	}
	rules, err := c.readRules()
	if err != nil {
		return known.rules // The file is whole whenever it is there: the container is being removed.
	}
	c.rules.Store(&ruleSet{generation: now, rules: rules})
	return rules
}

func (c *Conditions) readRules() ([]*fileRule, error) {
	data, err := os.ReadFile(c.rulesPath())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read file rules: %w", err)
	}
	var rules []FileRule
	if err := json.Unmarshal(data, &rules); err != nil {
		return nil, fmt.Errorf("decode file rules: %w", err)
	}
	return compileRules(rules)
}
