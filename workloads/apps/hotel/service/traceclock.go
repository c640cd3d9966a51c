package service

import (
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"k8s.io/utils/clock"
)

// leastSkew is how far the container's clock has to be off before spans show it: reading two clocks takes time.
const leastSkew = 10 * time.Millisecond

// clockProcessor gives spans the times of the container's clock: the SDK takes them from the machine's.
type clockProcessor struct {
	sdktrace.SpanProcessor

	clock clock.PassiveClock
}

// OnEnd passes the span on.
func (p clockProcessor) OnEnd(s sdktrace.ReadOnlySpan) {
	skew := p.clock.Now().Round(0).Sub(time.Now().Round(0))
	if skew.Abs() >= leastSkew {
		s = movedSpan{s, skew}
	}
	p.SpanProcessor.OnEnd(s)
}

// movedSpan is a span at another time.
type movedSpan struct {
	sdktrace.ReadOnlySpan

	by time.Duration
}

func (s movedSpan) StartTime() time.Time { return s.ReadOnlySpan.StartTime().Add(s.by) }
func (s movedSpan) EndTime() time.Time   { return s.ReadOnlySpan.EndTime().Add(s.by) }

func (s movedSpan) Events() []sdktrace.Event {
	events := append([]sdktrace.Event(nil), s.ReadOnlySpan.Events()...)
	for i := range events {
		events[i].Time = events[i].Time.Add(s.by)
	}
	return events
}
