package aci

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gameday-bench/gameday/agents"
)

const (
	// MaxOutput is how many bytes of output one call returns.
	MaxOutput = 16 << 10
	// keptOutputs is how many long outputs can be read on.
	keptOutputs = 16
)

// output is what a handler gives: the whole text.
type output struct {
	text    string
	isError bool
	// page says that the text is a part already and from which place on it goes on.
	page *page
}

type page struct {
	id            string
	offset, total int
}

func text(s string) output { return output{text: s} }

func failed(format string, args ...any) output {
	return output{text: fmt.Sprintf(format, args...), isError: true}
}

// outputs bounds outputs and keeps the long ones, so that they can be read on without running a command again.
type outputs struct {
	mu   sync.Mutex
	seq  int
	kept []keptOutput
}

type keptOutput struct{ id, text string }

func newOutputs() *outputs { return &outputs{} }

// bound cuts an output to MaxOutput. A cut one ends with how to read on, and says so.
func (o *outputs) bound(out output, keep bool) agents.Result {
	clean := strings.ToValidUTF8(out.text, "\uFFFD")
	if out.page == nil && len(clean) <= MaxOutput {
		return agents.Result{Output: clean, IsError: out.isError}
	}
	p := out.page
	if p == nil && keep {
		p = &page{id: o.keep(clean), total: len(clean)}
	}
	if p == nil {
		return agents.Result{Output: cut(clean, MaxOutput), IsError: out.isError, Truncated: true}
	}
	shown := cut(clean, MaxOutput)
	end := p.offset + len(shown)
	if end >= p.total {
		return agents.Result{Output: shown, IsError: out.isError}
	}
	marker := fmt.Sprintf("\n[output truncated: bytes %d-%d of %d; read on with %s {\"id\":%q,\"offset\":%d}]",
		p.offset, end, p.total, toolReadOutput, p.id, end)
	return agents.Result{Output: shown + marker, IsError: out.isError, Truncated: true}
}

func (o *outputs) keep(s string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seq++
	id := fmt.Sprintf("o%d", o.seq)
	o.kept = append(o.kept, keptOutput{id, s})
	if len(o.kept) > keptOutputs {
		o.kept = slices.Delete(o.kept, 0, 1)
	}
	return id
}

func (o *outputs) read(id string, offset int) output {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.kept, func(k keptOutput) bool { return k.id == id })
	if i < 0 {
		return failed("no kept output has the id %q: the last %d truncated outputs are kept", id, keptOutputs)
	}
	whole := o.kept[i].text
	if offset < 0 || offset > len(whole) {
		return failed("offset %d is outside of the output: it has %d bytes", offset, len(whole))
	}
	return output{text: whole[offset:], page: &page{id: id, offset: offset, total: len(whole)}}
}

// cut cuts at a character's boundary, and at a line's where one is near.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	if i := strings.LastIndexByte(s[:limit], '\n'); i > limit*3/4 {
		return s[:i+1]
	}
	return s[:limit]
}
