package tracestore

import "encoding/binary"

// Bounds of the dictionary: what is not frequent must not stay in memory for ever.
const (
	maxWords        = 32 << 10
	maxWordBytes    = 2 << 20
	maxWordLength   = 256
	maxWordsPerKind = 512
)

// dictionary gives frequent texts a number. It only grows, up to its bounds; what does not fit is written out. It is
// guarded by the store's lock.
type dictionary struct {
	refs  map[string]uint64
	words []string
	bytes int
	kinds map[string]int // words per attribute key: ids and addresses must not push out the rest
}

func newDictionary() *dictionary {
	return &dictionary{refs: map[string]uint64{}, kinds: map[string]int{}}
}

// append appends a reference to s, or s itself behind a 0.
func (d *dictionary) append(b []byte, kind, s string) []byte {
	if ref, ok := d.ref(kind, s); ok {
		return binary.AppendUvarint(b, ref)
	}
	b = append(b, 0)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func (d *dictionary) ref(kind, s string) (uint64, bool) {
	if ref, ok := d.refs[s]; ok {
		return ref, true
	}
	if len(s) > maxWordLength || len(d.words) >= maxWords || d.bytes+len(s) > maxWordBytes || d.kinds[kind] >= maxWordsPerKind {
		return 0, false
	}
	// The text may be a part of a large message.
	s = string(append([]byte(nil), s...))
	d.words = append(d.words, s)
	d.bytes += len(s)
	d.kinds[kind]++
	ref := uint64(len(d.words))
	d.refs[s] = ref
	return ref, true
}

func (d *dictionary) at(ref uint64) string { return d.words[ref-1] }
