package tracestore

import (
	"encoding/binary"
	"encoding/hex"
)

// traceID and spanID are OpenTelemetry's identifiers.
type (
	traceID [16]byte
	spanID  [8]byte
)

func (t traceID) String() string { return hex.EncodeToString(t[:]) }
func (s spanID) String() string  { return hex.EncodeToString(s[:]) }

// kind is what a span stands for, in OTLP's numbers.
type kind byte

const (
	kindInternal kind = 1
	kindServer   kind = 2
	kindClient   kind = 3
	kindProducer kind = 4
	kindConsumer kind = 5
)

// String is Jaeger's name of the kind, or "" where it is not told.
func (k kind) String() string {
	return [...]string{"", "internal", "server", "client", "producer", "consumer"}[min(k, kindConsumer)]
}

// statusError is OTLP's status code for an error.
const statusError = 2

// event is something that happened during a span. at is in nanoseconds since the epoch.
type event struct {
	at    uint64
	name  string
	attrs []attribute
}

// span is one span outside the store. start and end are in nanoseconds since the epoch.
type span struct {
	trace   traceID
	id      spanID
	parent  spanID
	name    string
	kind    kind
	start   uint64
	end     uint64
	status  byte
	message string
	scope   string
	process int // index of the store's processes
	attrs   []attribute
	events  []event
}

// duration is in nanoseconds. A clock that went back gives 0.
func (s *span) duration() uint64 {
	if s.end < s.start {
		return 0
	}
	return s.end - s.start
}

// attr returns a string attribute, or "".
func (s *span) attr(key string) string {
	for _, a := range s.attrs {
		if a.key == key && a.typ == typeString {
			return a.str
		}
	}
	return ""
}

// encode appends the compact form of s to b. Text goes through words: what is frequent takes a byte or two.
func (s *span) encode(b []byte, words *dictionary) []byte {
	b = append(b, s.id[:]...)
	b = append(b, s.parent[:]...)
	b = append(b, byte(s.kind)<<4|s.status)
	b = binary.AppendUvarint(b, uint64(s.process))
	b = binary.LittleEndian.AppendUint64(b, s.start)
	b = binary.AppendUvarint(b, s.duration())
	b = words.append(b, "", s.name)
	b = words.append(b, "", s.scope)
	b = words.append(b, "status", s.message)
	b = appendAttributes(b, words, s.attrs)
	b = binary.AppendUvarint(b, uint64(len(s.events)))
	for _, e := range s.events {
		b = binary.AppendUvarint(b, e.at-min(e.at, s.start))
		b = words.append(b, "", e.name)
		b = appendAttributes(b, words, e.attrs)
	}
	return b
}

func appendAttributes(b []byte, words *dictionary, attrs []attribute) []byte {
	b = binary.AppendUvarint(b, uint64(len(attrs)))
	for _, a := range attrs {
		b = words.append(b, "", a.key)
		b = append(b, byte(a.typ))
		switch a.typ {
		case typeString:
			b = words.append(b, a.key, a.str)
		case typeFloat:
			b = binary.LittleEndian.AppendUint64(b, a.num)
		default:
			b = binary.AppendUvarint(b, a.num)
		}
	}
	return b
}

// reader decodes what encode wrote. The store's own bytes are always whole.
type reader struct {
	b     []byte
	words *dictionary
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.b = r.b[n:]
	return v
}

func (r *reader) fixed() uint64 {
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *reader) byte() byte {
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) text() string {
	ref := r.uvarint()
	if ref > 0 {
		return r.words.at(ref)
	}
	n := r.uvarint()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) attributes(into []attribute) []attribute {
	n := r.uvarint()
	for range n {
		a := attribute{key: r.text(), typ: valueType(r.byte())}
		switch a.typ {
		case typeString:
			a.str = r.text()
		case typeFloat:
			a.num = r.fixed()
		default:
			a.num = r.uvarint()
		}
		into = append(into, a)
	}
	return into
}

// decode reads one span into s, whose slices are used again.
func (r *reader) decode(s *span) {
	copy(s.id[:], r.b)
	copy(s.parent[:], r.b[8:])
	r.b = r.b[16:]
	ks := r.byte()
	s.kind, s.status = kind(ks>>4), ks&0xf
	s.process = int(r.uvarint())
	s.start = r.fixed()
	s.end = s.start + r.uvarint()
	s.name, s.scope, s.message = r.text(), r.text(), r.text()
	s.attrs = r.attributes(s.attrs[:0])
	n := r.uvarint()
	s.events = s.events[:0]
	for range n {
		e := event{at: s.start + r.uvarint(), name: r.text()}
		e.attrs = r.attributes(nil)
		s.events = append(s.events, e)
	}
}
