package tracestore

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// The field numbers of opentelemetry.proto.collector.trace.v1 and what it contains. The messages are walked on the wire:
// the generated types would allocate fifty objects per span, several hundred thousand a second under load.
const (
	requestResourceSpans = 1

	resourceSpansResource = 1
	resourceSpansScopes   = 2

	resourceAttributes = 1

	scopeSpansScope = 1
	scopeSpansSpans = 2
	scopeName       = 1

	spanTraceID    = 1
	spanSpanID     = 2
	spanParent     = 4
	spanName       = 5
	spanKind       = 6
	spanStart      = 7
	spanEnd        = 8
	spanAttributes = 9
	spanEvents     = 11
	spanStatus     = 15

	eventTime       = 1
	eventName       = 2
	eventAttributes = 3

	statusMessage = 2
	statusCode    = 3

	keyValueKey   = 1
	keyValueValue = 2

	anyString = 1
	anyBool   = 2
	anyInt    = 3
	anyDouble = 4
	anyArray  = 5
	anyMap    = 6
	anyBytes  = 7
)

// field is one field of a message. data is set for length-delimited fields, num for the others.
type field struct {
	number protowire.Number
	data   []byte
	num    uint64
}

// text is the field's content, copied out of the message.
func (f field) text() string { return string(f.data) }

// walk calls fn for every field of message b.
func walk(b []byte, fn func(field) error) error {
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		f := field{number: number}
		switch typ {
		case protowire.BytesType:
			f.data, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			f.num, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.num, n = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.num = uint64(v)
		default:
			n = protowire.ConsumeFieldValue(number, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

// export is one ExportTraceServiceRequest on its way into a store.
type export struct {
	store *Store
	span  span
}

// add stores every span of an ExportTraceServiceRequest. What comes before a malformed part is kept.
func (e *export) add(request []byte) error {
	err := walk(request, func(f field) error {
		if f.number != requestResourceSpans {
			return nil
		}
		return e.resource(f.data)
	})
	if err != nil {
		return fmt.Errorf("parse spans: %w", err)
	}
	return nil
}

func (e *export) resource(b []byte) error {
	var attrs []attribute
	err := walk(b, func(f field) error {
		if f.number != resourceSpansResource {
			return nil
		}
		return walk(f.data, func(f field) error {
			if f.number != resourceAttributes {
				return nil
			}
			a, err := parseAttribute(f.data)
			attrs = append(attrs, a)
			return err
		})
	})
	if err != nil {
		return err
	}
	process := e.store.process(attrs)
	return walk(b, func(f field) error {
		if f.number != resourceSpansScopes {
			return nil
		}
		return e.scope(process, f.data)
	})
}

func (e *export) scope(process int, b []byte) error {
	scope := ""
	err := walk(b, func(f field) error {
		if f.number != scopeSpansScope {
			return nil
		}
		return walk(f.data, func(f field) error {
			if f.number == scopeName {
				scope = f.text()
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return walk(b, func(f field) error {
		if f.number != scopeSpansSpans {
			return nil
		}
		s := &e.span
		*s = span{process: process, scope: scope, kind: kindInternal, attrs: s.attrs[:0], events: s.events[:0]}
		if err := s.parse(f.data); err != nil {
			return err
		}
		e.store.add(s)
		return nil
	})
}

func (s *span) parse(b []byte) error {
	err := walk(b, func(f field) error {
		switch f.number {
		case spanTraceID:
			copy(s.trace[:], f.data)
		case spanSpanID:
			copy(s.id[:], f.data)
		case spanParent:
			copy(s.parent[:], f.data)
		case spanName:
			s.name = f.text()
		case spanKind:
			s.kind = kind(min(f.num, uint64(kindConsumer)))
		case spanStart:
			s.start = f.num
		case spanEnd:
			s.end = f.num
		case spanAttributes:
			a, err := parseAttribute(f.data)
			s.attrs = append(s.attrs, a)
			return err
		case spanEvents:
			return s.parseEvent(f.data)
		case spanStatus:
			return walk(f.data, func(f field) error {
				switch f.number {
				case statusMessage:
					s.message = f.text()
				case statusCode:
					s.status = byte(f.num & 3)
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && (s.trace == traceID{} || s.id == spanID{}) {
		return errors.New("a span has no trace ID or no span ID")
	}
	return err
}

func (s *span) parseEvent(b []byte) error {
	var e event
	err := walk(b, func(f field) error {
		switch f.number {
		case eventTime:
			e.at = f.num
		case eventName:
			e.name = f.text()
		case eventAttributes:
			a, err := parseAttribute(f.data)
			e.attrs = append(e.attrs, a)
			return err
		}
		return nil
	})
	s.events = append(s.events, e)
	return err
}
