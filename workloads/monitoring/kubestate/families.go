package kubestate

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// page is one exposition in the making: samples, grouped by the name of their family.
type page map[string][]byte

// labels are pairs of names and values, in the order in which they are printed.
type labels []string

// with returns l and more.
func (l labels) with(more ...string) labels { return append(l[:len(l):len(l)], more...) }

// add adds one sample.
func (p page) add(name string, l labels, value float64) {
	b := append(p[name], name...)
	for i := 0; i+1 < len(l); i += 2 {
		if i == 0 {
			b = append(b, '{')
		} else {
			b = append(b, ',')
		}
		b = append(b, l[i]...)
		b = append(b, '=', '"')
		b = appendEscaped(b, l[i+1])
		b = append(b, '"')
	}
	if len(l) > 0 {
		b = append(b, '}')
	}
	b = append(b, ' ')
	b = strconv.AppendFloat(b, value, 'g', -1, 64)
	p[name] = append(b, '\n')
}

// flag adds a sample of 1 or 0.
func (p page) flag(name string, l labels, set bool) {
	if set {
		p.add(name, l, 1)
	} else {
		p.add(name, l, 0)
	}
}

// set adds one sample per possible value of label: 1 for the one that is, 0 for the others.
func (p page) set(name string, l labels, label, is string, possible ...string) {
	for _, v := range possible {
		p.flag(name, l.with(label, v), v == is)
	}
}

// moment adds a time in seconds since the epoch, unless it is not set.
func (p page) moment(name string, l labels, t *metav1.Time) {
	if t != nil && !t.IsZero() {
		p.add(name, l, float64(t.UnixNano())/float64(time.Second))
	}
}

// WriteTo prints the families, sorted by name.
func (p page) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for _, f := range p.families() {
		for _, part := range [][]byte{f.header(), p[f.name]} {
			n, err := w.Write(part)
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

type family struct{ name, kind, help string }

func (f family) header() []byte {
	return []byte("# HELP " + f.name + " " + f.help + "\n# TYPE " + f.name + " " + f.kind + "\n")
}

func (p page) families() []family {
	out := make([]family, 0, len(p))
	for name := range p {
		kind := "gauge"
		if strings.HasSuffix(name, "_total") {
			kind = "counter"
		}
		out = append(out, family{name, kind, help(name)})
	}
	slices.SortFunc(out, func(a, b family) int { return cmp.Compare(a.name, b.name) })
	return out
}

// help describes a family in words that follow from its name, as most of kube-state-metrics' own descriptions do.
func help(name string) string {
	words := strings.ReplaceAll(strings.TrimPrefix(name, "kube_"), "_", " ")
	switch {
	case strings.HasSuffix(name, "_info"):
		return "Information about " + strings.TrimSuffix(words, " info") + "."
	case strings.HasSuffix(name, "_created"):
		return "Unix creation timestamp of the " + strings.TrimSuffix(words, " created") + "."
	}
	return "The " + words + "."
}

func appendEscaped(b []byte, s string) []byte {
	if !strings.ContainsAny(s, "\\\"\n") {
		return append(b, s...)
	}
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, c)
		}
	}
	return b
}
