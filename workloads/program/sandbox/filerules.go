package sandbox

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// FileRule is one thing that goes wrong with a container's files: what fields are set says what. Its words are those of
// Chaos Mesh's IOChaos.
type FileRule struct {
	// Volume is the directory that the rule is for, a container path.
	Volume string `json:"volume"`
	// Path is a glob of container paths; empty matches every file of the volume. A * matches slashes as well, as in
	// Chaos Mesh.
	Path string `json:"path,omitempty"`
	// Methods are the operations that are meant (see Interposer); none means all.
	Methods []string `json:"methods,omitempty"`
	// Percent of the operations are hit.
	Percent float64 `json:"percent"`

	// Latency is what an operation takes longer, more or less Jitter.
	Latency time.Duration `json:"latency,omitempty"`
	Jitter  time.Duration `json:"jitter,omitempty"`
	// Faults are the errors of which one is what the operation ends with.
	Faults []FileFault `json:"faults,omitempty"`
	// Attributes is what is wrong with what getattr says.
	Attributes *FileAttributes `json:"attributes,omitempty"`
	// Mistake is what is wrong with what is read and written.
	Mistake *FileMistake `json:"mistake,omitempty"`
	// Times is after how many hits, counted by each process, the rule is spent; 0 means never.
	Times int64 `json:"times,omitempty"`
}

// FileFault is an error and how likely it is beside the others of its rule.
type FileFault struct {
	Errno  syscall.Errno `json:"errno"`
	Weight int           `json:"weight"`
}

// FileMistake replaces parts of what is read or written.
type FileMistake struct {
	// Random fills with random bytes, otherwise with zeros.
	Random bool `json:"random,omitempty"`
	// At most MaxOccurrences parts of at most MaxLength bytes are replaced, at least one byte.
	MaxOccurrences int `json:"maxOccurrences"`
	MaxLength      int `json:"maxLength"`
}

// The words of Interposer for operations.
const (
	opLookup     = "lookup"
	opGetattr    = "getattr"
	opSetattr    = "setattr"
	opReadlink   = "readlink"
	opMkdir      = "mkdir"
	opUnlink     = "unlink"
	opRmdir      = "rmdir"
	opSymlink    = "symlink"
	opRename     = "rename"
	opOpen       = "open"
	opRead       = "read"
	opWrite      = "write"
	opFlush      = "flush"
	opRelease    = "release"
	opFsync      = "fsync"
	opOpendir    = "opendir"
	opReaddir    = "readdir"
	opReleasedir = "releasedir"
	opStatfs     = "statfs"
)

// fileRule is a FileRule that is ready to be applied.
type fileRule struct {
	FileRule

	glob   *regexp.Regexp // nil matches everything.
	weight int            // The sum of the faults'.
	hits   hits
}

func compileRules(rules []FileRule) ([]*fileRule, error) {
	out := make([]*fileRule, 0, len(rules))
	for _, r := range rules {
		c := &fileRule{FileRule: r}
		c.Volume = path.Clean("/" + r.Volume)
		if r.Path != "" {
			var err error
			if c.glob, err = compileGlob(r.Path); err != nil {
				return nil, fmt.Errorf("read path %q of a file rule: %w", r.Path, err)
			}
		}
		for _, f := range r.Faults {
			if f.Errno == 0 || f.Weight < 0 {
				return nil, fmt.Errorf("read faults of a file rule: number %d with weight %d", int(f.Errno), f.Weight)
			}
			c.weight += f.Weight
		}
		if m := r.Mistake; m != nil && (m.MaxLength < 1 || m.MaxOccurrences < 1) {
			return nil, fmt.Errorf("read mistake of a file rule: %d occurrences of %d bytes", m.MaxOccurrences, m.MaxLength)
		}
		out = append(out, c)
	}
	return out, nil
}

// compileGlob turns a glob into an expression: ? is any character, * any number of them, **/ any number of directories,
// [...] a class, [!...] its opposite.
func compileGlob(glob string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString("(?s)^")
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			if strings.HasPrefix(glob[i:], "**/") && (i == 0 || glob[i-1] == '/') {
				b.WriteString("(?:.*/)?")
				i += 2
				continue
			}
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		case '[':
			end := strings.IndexByte(glob[i+1:], ']')
			if end <= 0 {
				return nil, fmt.Errorf("[ at %d is not closed", i)
			}
			class := glob[i+1 : i+1+end]
			if rest, not := strings.CutPrefix(class, "!"); not {
				class = "^" + rest
			}
			b.WriteString("[" + strings.ReplaceAll(class, `\`, `\\`) + "]")
			i += end + 1
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteByte('$')
	return regexp.Compile(b.String())
}

// covers says whether the rule is for an operation on name.
func (r *fileRule) covers(op, name string) bool {
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, op) {
		return false
	}
	if r.Volume != "/" && name != r.Volume && !strings.HasPrefix(name, r.Volume+"/") {
		return false
	}
	return r.glob == nil || r.glob.MatchString(name)
}

// strikes says whether this operation is one of those that are hit.
func (r *fileRule) strikes() bool {
	return rand.Float64()*100 < r.Percent && r.hits.take(r.Times)
}

// delay is how long an operation that is hit waits.
func (r *fileRule) delay() time.Duration {
	if r.Jitter <= 0 {
		return r.Latency
	}
	return max(0, r.Latency+time.Duration((rand.Float64()*2-1)*float64(r.Jitter)))
}

// fault is one of the rule's errors.
func (r *fileRule) fault() error {
	if r.weight == 0 {
		return r.Faults[rand.IntN(len(r.Faults))].Errno
	}
	at := rand.IntN(r.weight)
	for _, f := range r.Faults {
		if at -= f.Weight; at < 0 {
			return f.Errno
		}
	}
	return r.Faults[0].Errno
}

// spoil replaces parts of p.
func (m *FileMistake) spoil(p []byte) {
	if len(p) == 0 {
		return
	}
	for range 1 + rand.IntN(m.MaxOccurrences) {
		from := rand.IntN(len(p))
		part := p[from:min(len(p), from+1+rand.IntN(m.MaxLength))]
		for i := range part {
			part[i] = 0
			if m.Random {
				part[i] = byte(rand.UintN(256))
			}
		}
	}
}

var _ Interposer = (*Conditions)(nil)

// Before implements Interposer: it waits, and fails the operation, as the rules say.
func (c *Conditions) Before(op, name string) error {
	for _, r := range c.fileRules() {
		if r.Latency == 0 && r.Jitter == 0 && len(r.Faults) == 0 || !r.covers(op, name) || !r.strikes() {
			continue
		}
		if d := r.delay(); d > 0 {
			time.Sleep(d)
		}
		if len(r.Faults) > 0 {
			return r.fault()
		}
	}
	return nil
}

// Data implements Interposer.
func (c *Conditions) Data(op, name string, p []byte) []byte {
	mine := op == opRead // What was read is the caller's own; what is written is not.
	for _, r := range c.fileRules() {
		if r.Mistake == nil || !r.covers(op, name) || !r.strikes() {
			continue
		}
		if !mine {
			p, mine = slices.Clone(p), true
		}
		r.Mistake.spoil(p)
	}
	return p
}

// Attributes implements Interposer.
func (c *Conditions) Attributes(name string, info fs.FileInfo) fs.FileInfo {
	for _, r := range c.fileRules() {
		if r.Attributes != nil && r.covers(opGetattr, name) && r.strikes() {
			info = r.Attributes.over(info)
		}
	}
	return info
}
