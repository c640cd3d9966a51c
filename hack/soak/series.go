package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// quantity is something that must not grow.
type quantity struct {
	name string
	// share and least are the margin: this share of the early median, but at least so much.
	share, least float64
	bytes        bool
}

// series is a quantity over time.
type series struct {
	quantity
	values []float64
}

// book holds the series of one part of the soak, in the order in which they were first seen.
type book struct {
	order  []string
	series map[string]*series
}

func newBook() *book { return &book{series: map[string]*series{}} }

// add appends a sample.
func (b *book) add(q quantity, value float64) {
	s, ok := b.series[q.name]
	if !ok {
		s = &series{quantity: q}
		b.series[q.name] = s
		b.order = append(b.order, q.name)
	}
	s.values = append(s.values, value)
}

// verdicts judges every series.
func (b *book) verdicts() []verdict {
	var out []verdict
	for _, name := range b.order {
		out = append(out, judge(*b.series[name]))
	}
	return out
}

// verdict is what became of a quantity.
type verdict struct {
	quantity
	samples             int
	early, late, margin float64
}

// judge compares the last quarter of the samples with the second. With fewer than eight samples there is no answer, which
// counts as growth: a soak that was too short shows nothing.
func judge(s series) verdict {
	v := verdict{quantity: s.quantity, samples: len(s.values)}
	if len(s.values) == 0 {
		return v
	}
	quarter := max(len(s.values)/4, 1)
	v.early = median(s.values[min(quarter, len(s.values)-1):min(2*quarter, len(s.values))])
	v.late = median(s.values[len(s.values)-quarter:])
	v.margin = max(s.least, s.share*v.early)
	return v
}

const fewest = 8

func (v verdict) grows() bool { return v.samples < fewest || v.late > v.early+v.margin }

func (v verdict) format(value float64) string {
	if v.bytes {
		return fmt.Sprintf("%.1f MiB", value/(1<<20))
	}
	return strconv.FormatFloat(math.Round(value*10)/10, 'f', -1, 64)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
