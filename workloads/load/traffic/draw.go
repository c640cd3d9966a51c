package traffic

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// Draw is what a request is made from: the random numbers that belong to its place in the schedule, and nothing else. The
// n-th request of a seed is therefore always the same, whatever happened to the ones before it. Templates call its methods:
//
//	{{.Index}}                the request's number, from 0
//	{{.ID}}                   a token that no other request of this seed has: for idempotency keys
//	{{.Int 1 5}}              a number from 1 to 5
//	{{.Float 37.7 37.9 4}}    a number with 4 decimals
//	{{.Pick "a" "b"}}         one of the values
//	{{.Printf "hotel-%d" 3}}  as fmt.Sprintf
//	{{.Date 1 30}}            a day from 1 to 30 days after Epoch, as 2006-01-02
//	{{.Later 1 5}}            a day 1 to 5 days after the last {{.Date}}
//	{{.Query "a b"}}          escaped for a query or a form
type Draw struct {
	Index uint64
	seed  uint64
	rand  *rand.Rand
	pcg   *rand.PCG
	day   time.Time
}

// Epoch is the day from which {{.Date}} counts. It is fixed: requests may not depend on when they are sent.
func Epoch() time.Time { return time.Date(2030, time.January, 1, 0, 0, 0, 0, time.UTC) }

func newDraw(seed uint64) *Draw {
	pcg := rand.NewPCG(seed, 0)
	return &Draw{seed: seed, pcg: pcg, rand: rand.New(pcg), day: Epoch()} //nolint:gosec // requests, not secrets.
}

// reset makes d the draw of request index.
func (d *Draw) reset(index uint64) {
	// Neighbouring seeds give related first values: mix the index before it is used as one.
	d.pcg.Seed(d.seed, (index+1)*0x9e3779b97f4a7c15)
	d.Index, d.day = index, Epoch()
}

// ID returns the request's token.
func (d *Draw) ID() string { return fmt.Sprintf("%08x-%08x", uint32(d.seed^d.seed>>32), d.Index) }

// Int returns a number from low to high, both included.
func (d *Draw) Int(low, high int) (int, error) {
	if high < low {
		return 0, fmt.Errorf("draw a number from %d to %d: the range is empty", low, high)
	}
	return low + d.rand.IntN(high-low+1), nil
}

// Float returns a number from low to high with so many decimals.
func (d *Draw) Float(low, high float64, decimals int) string {
	return strconv.FormatFloat(low+d.rand.Float64()*(high-low), 'f', decimals, 64)
}

// Pick returns one of the values.
func (d *Draw) Pick(values ...string) (string, error) {
	if len(values) == 0 {
		return "", fmt.Errorf("pick: no values")
	}
	return values[d.rand.IntN(len(values))], nil
}

// Printf formats.
func (d *Draw) Printf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// Date returns a day from low to high days after Epoch.
func (d *Draw) Date(low, high int) (string, error) {
	n, err := d.Int(low, high)
	d.day = Epoch().AddDate(0, 0, n)
	return d.day.Format(time.DateOnly), err
}

// Later returns a day from low to high days after the last Date.
func (d *Draw) Later(low, high int) (string, error) {
	n, err := d.Int(low, high)
	return d.day.AddDate(0, 0, n).Format(time.DateOnly), err
}

// Query escapes a value for a query or a form.
func (d *Draw) Query(v string) string { return url.QueryEscape(v) }

// compiled is a route with its templates parsed.
type compiled struct {
	Route
	path, body *template.Template
	headers    []header
}

type header struct {
	name  string
	value *template.Template
}

// compile parses a route's templates and tries them once: a wrong name in one is found now, not under load.
func compile(r Route) (*compiled, error) {
	parse := func(what, text string) (*template.Template, error) {
		t, err := template.New(what).Option("missingkey=error").Parse(text)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", what, err)
		}
		if err := t.Execute(&bytes.Buffer{}, newDraw(0)); err != nil {
			return nil, fmt.Errorf("try %s: %w", what, err)
		}
		return t, nil
	}
	c := &compiled{Route: r}
	var err error
	if c.path, err = parse("path", r.Path); err != nil {
		return nil, err
	}
	if r.Body != "" {
		if c.body, err = parse("body", strings.TrimSpace(r.Body)); err != nil {
			return nil, err
		}
	}
	for _, name := range sortedKeys(r.Headers) {
		t, err := parse("header "+name, r.Headers[name])
		if err != nil {
			return nil, err
		}
		c.headers = append(c.headers, header{name, t})
	}
	return c, nil
}

// message is one request, ready to be sent.
type message struct {
	path    string
	body    string
	headers [][2]string
}

// write draws the request that belongs to d.
func (c *compiled) write(d *Draw) (message, error) {
	var m message
	var buf bytes.Buffer
	text := func(t *template.Template) (string, error) {
		buf.Reset()
		err := t.Execute(&buf, d)
		return buf.String(), err
	}
	var err error
	if m.path, err = text(c.path); err != nil {
		return m, err
	}
	if c.body != nil {
		if m.body, err = text(c.body); err != nil {
			return m, err
		}
	}
	for _, h := range c.headers {
		v, err := text(h.value)
		if err != nil {
			return m, err
		}
		m.headers = append(m.headers, [2]string{h.name, v})
	}
	return m, nil
}
